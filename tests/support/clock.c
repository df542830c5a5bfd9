/* Moves or stops the wall clock of one process, when loaded before libc. The file named by CLOCK_FILE holds two numbers
   of 8 bytes, which may change at any time: whether the clock runs, and the microseconds that are added to what it
   says; a clock that does not run says 0. The monotonic clock stays. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#define SECOND 1000000

static volatile const struct { int64_t runs, added; } *file;

__attribute__((constructor)) static void map_file(void) {
    int descriptor = open(getenv("CLOCK_FILE"), O_RDONLY);
    void *map = mmap(0, sizeof *file, PROT_READ, MAP_SHARED, descriptor, 0);
    if (map == MAP_FAILED) abort();
    file = map;
}

static int64_t microseconds(void) {
    static int (*real)(clockid_t, struct timespec *);
    struct timespec now = {0};
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    if (file->runs) real(CLOCK_REALTIME, &now);
    return now.tv_sec * SECOND + now.tv_nsec / 1000 + file->added;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int64_t moment = microseconds();
    *now = (struct timeval){moment / SECOND, moment % SECOND};
    return 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return real(clock, now);
    int64_t moment = microseconds();
    *now = (struct timespec){moment / SECOND, moment % SECOND * 1000};
    return 0;
}

time_t time(time_t *moment) {
    time_t now = microseconds() / SECOND;
    if (moment) *moment = now;
    return now;
}
