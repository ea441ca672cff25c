/* Faults of a disk, and signals at exact moments, for one process: loaded before libc (LD_PRELOAD), armed by `arm`.

   Every call that changes something below the folder `root` is counted. The n-th one fails with an error, or gets a
   signal just before or just after it is done. With `stay` every later call fails as well: a disk that is full, or gone.
   With the number -1 nothing fails and every call is told.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FULL_CAN_FAIL = 1, ONLY_WHEN_GONE = 2 };

static char root[4096];
static size_t root_length;
static volatile int armed, at, error_number, signal_number, after, stay, tripped, report = -1;
static volatile int count;

void arm(const char *folder, int call, int error, int sig, int sig_after, int stays, int report_to) {
    snprintf(root, sizeof root, "%s", folder);
    root_length = strlen(root);
    at = call, error_number = error, signal_number = sig, after = sig_after, stay = stays, report = report_to;
    count = tripped = 0;
    armed = 1;
}

void listen_on(int on) { armed = on; }

/* Ctrl-C in a terminal reaches every process there. */
static void send_signal(void) { kill(signal_number == SIGINT ? 0 : getpid(), signal_number); }

static int inside(const char *path) { return strncmp(path, root, root_length) == 0; }

static const char *of_descriptor(int descriptor, char *buffer, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, buffer, size - 1);
    if (length < 0) return "";
    buffer[length] = 0;
    return buffer;
}

static void tell(const char *name, const char *path) {
    char line[4600];
    if (report < 0) return;
    int length = snprintf(line, sizeof line, "call %d: %s %s\n", count, name, path);
    ssize_t (*write_)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    if (write_(report, line, length) < 0) return;
}

/* Whether this call fails; a signal that comes before it is sent here, one that comes after it is noted in *later. */
static int fails(const char *name, const char *path, int kind, int *later) {
    if (!armed || !inside(path)) return 0;
    if (kind & ONLY_WHEN_GONE) {
        if (tripped && stay && error_number == EIO) { errno = EIO; return 1; }
        return 0;
    }
    int number = __sync_add_and_fetch(&count, 1);
    if (at == -1) tell(name, path);
    if (at <= 0 || number < at) return 0;
    if (signal_number) {
        if (tripped) return 0;
        tripped = 1;
        tell(name, path);
        if (after) *later = 1; else send_signal();
        return 0;
    }
    if (error_number == ENOSPC && !(kind & FULL_CAN_FAIL)) return 0;
    if (tripped && !stay) return 0;
    if (!tripped) tell(name, path);
    tripped = 1;
    errno = error_number;
    return 1;
}

#define GIVE(value) \
    do { __typeof__(value) given = (value); int kept = errno; \
         if (later) send_signal(); \
         errno = kept; return given; } while (0)

#define DESCRIPTOR_CALL(type, name, kind, parameters, types, values) \
    type name parameters { \
        static type (*real) types; \
        if (!real) real = (type (*) types)dlsym(RTLD_NEXT, #name); \
        char path[4096]; int later = 0; \
        if (armed && fails(#name, of_descriptor(descriptor, path, sizeof path), kind, &later)) return -1; \
        GIVE(real values); \
    }

DESCRIPTOR_CALL(ssize_t, write, FULL_CAN_FAIL, (int descriptor, const void *data, size_t size),
                (int, const void *, size_t), (descriptor, data, size))
DESCRIPTOR_CALL(ssize_t, writev, FULL_CAN_FAIL, (int descriptor, const struct iovec *data, int size),
                (int, const struct iovec *, int), (descriptor, data, size))
DESCRIPTOR_CALL(ssize_t, pwrite, FULL_CAN_FAIL, (int descriptor, const void *data, size_t size, off_t place),
                (int, const void *, size_t, off_t), (descriptor, data, size, place))
DESCRIPTOR_CALL(ssize_t, pwrite64, FULL_CAN_FAIL, (int descriptor, const void *data, size_t size, off64_t place),
                (int, const void *, size_t, off64_t), (descriptor, data, size, place))
DESCRIPTOR_CALL(ssize_t, sendfile, FULL_CAN_FAIL, (int descriptor, int from, off_t *place, size_t size),
                (int, int, off_t *, size_t), (descriptor, from, place, size))
DESCRIPTOR_CALL(ssize_t, sendfile64, FULL_CAN_FAIL, (int descriptor, int from, off64_t *place, size_t size),
                (int, int, off64_t *, size_t), (descriptor, from, place, size))
DESCRIPTOR_CALL(ssize_t, read, ONLY_WHEN_GONE, (int descriptor, void *data, size_t size),
                (int, void *, size_t), (descriptor, data, size))
DESCRIPTOR_CALL(ssize_t, pread64, ONLY_WHEN_GONE, (int descriptor, void *data, size_t size, off64_t place),
                (int, void *, size_t, off64_t), (descriptor, data, size, place))
DESCRIPTOR_CALL(int, fsync, FULL_CAN_FAIL, (int descriptor), (int), (descriptor))
DESCRIPTOR_CALL(int, fdatasync, FULL_CAN_FAIL, (int descriptor), (int), (descriptor))
DESCRIPTOR_CALL(int, ftruncate, 0, (int descriptor, off_t size), (int, off_t), (descriptor, size))
DESCRIPTOR_CALL(int, ftruncate64, 0, (int descriptor, off64_t size), (int, off64_t), (descriptor, size))

static const char *at_folder(int folder, const char *path, char *buffer, size_t size) {
    if (path[0] == '/') return path;
    char place[4096];
    if (folder == AT_FDCWD) {
        if (!getcwd(place, sizeof place)) return path;
    } else {
        snprintf(place, sizeof place, "%s", of_descriptor(folder, buffer, size));
    }
    snprintf(buffer, size, "%.2000s/%.2000s", place, path);
    return buffer;
}

#define PATH_CALL(name, kind, folder, parameters, types, values) \
    int name parameters { \
        static int (*real) types; \
        if (!real) real = (int (*) types)dlsym(RTLD_NEXT, #name); \
        char place[8192]; int later = 0; \
        if (armed && fails(#name, at_folder(folder, path, place, sizeof place), kind, &later)) return -1; \
        GIVE(real values); \
    }

PATH_CALL(mkdir, FULL_CAN_FAIL, AT_FDCWD, (const char *path, mode_t mode), (const char *, mode_t), (path, mode))
PATH_CALL(mkdirat, FULL_CAN_FAIL, folder, (int folder, const char *path, mode_t mode), (int, const char *, mode_t),
          (folder, path, mode))
PATH_CALL(rmdir, 0, AT_FDCWD, (const char *path), (const char *), (path))
PATH_CALL(unlink, 0, AT_FDCWD, (const char *path), (const char *), (path))
PATH_CALL(unlinkat, 0, folder, (int folder, const char *path, int flags), (int, const char *, int),
          (folder, path, flags))
PATH_CALL(rename, FULL_CAN_FAIL, AT_FDCWD, (const char *path, const char *to), (const char *, const char *), (path, to))
PATH_CALL(renameat, FULL_CAN_FAIL, folder, (int folder, const char *path, int folder2, const char *to),
          (int, const char *, int, const char *), (folder, path, folder2, to))

/* Opening counts where it makes a file; opening for reading fails on a disk that is gone. */
#define OPEN_CALL(name, folder, parameters, types, values) \
    int name parameters { \
        static int (*real) types; \
        if (!real) real = (int (*) types)dlsym(RTLD_NEXT, #name); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); } \
        char place[8192]; int later = 0; \
        int kind = flags & O_CREAT ? FULL_CAN_FAIL : ONLY_WHEN_GONE; \
        if (armed && fails(#name, at_folder(folder, path, place, sizeof place), kind, &later)) return -1; \
        GIVE(real values); \
    }

OPEN_CALL(open, AT_FDCWD, (const char *path, int flags, ...), (const char *, int, ...), (path, flags, mode))
OPEN_CALL(open64, AT_FDCWD, (const char *path, int flags, ...), (const char *, int, ...), (path, flags, mode))
OPEN_CALL(openat, folder, (int folder, const char *path, int flags, ...), (int, const char *, int, ...),
          (folder, path, flags, mode))
OPEN_CALL(openat64, folder, (int folder, const char *path, int flags, ...), (int, const char *, int, ...),
          (folder, path, flags, mode))

/* A process that another one starts is armed by the variable STORM_FAULT. */
__attribute__((constructor)) static void arm_by_environment(void) {
    char folder[2048], file[2048];
    int call, error, sig, sig_after, stays;
    const char *told = getenv("STORM_FAULT");
    if (!told || sscanf(told, "%d %d %d %d %d %2047s %2047s", &call, &error, &sig, &sig_after, &stays, folder, file) != 7)
        return;
    arm(folder, call, error, sig, sig_after, stays, open(file, O_WRONLY | O_CREAT | O_APPEND, 0600));
}
