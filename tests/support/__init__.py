"""What the tests share: servers, clocks, pages, hostile peers."""
