// C shims: hardware CRC-32C, and the Linux calls that Swift's Glibc module lacks.
#ifndef CTENON_H
#define CTENON_H

#include <stddef.h>
#include <stdint.h>

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) of `length` bytes, continuing from `crc`.
/// Pass 0 to start. Uses the processor's instruction where there is one.
uint32_t ctenon_crc32c(uint32_t crc, const void *bytes, size_t length);

/// The same value by the table method, whatever the processor has. For tests and as the fallback.
uint32_t ctenon_crc32c_portable(uint32_t crc, const void *bytes, size_t length);

/// fallocate(2) with mode 0: reserves blocks and extends the file. 0, or a negated errno.
int ctenon_allocate(int descriptor, int64_t offset, int64_t length);

/// Free bytes for this user on the file system of `path`, or a negated errno.
int64_t ctenon_free_bytes(const char *path);

/// Whether `path` is on a file system that forgets its content at power-off (tmpfs, ramfs).
/// 1 or 0, or a negated errno.
int ctenon_is_volatile(const char *path);

/// Starts the program at `path` in a session of its own, with standard input from /dev/null, both
/// outputs appended to the file `log_path`, every other descriptor closed, and default signals.
/// `arguments` begins with the program's name and ends with NULL.
/// The process id of the child, or a negated errno.
int ctenon_spawn_detached(const char *path, char *const arguments[], const char *log_path);

/// Counts one pass of the calling thread through the rare branch `mark` (TenonCore, Coverage).
void ctenon_mark(int mark);

/// How often the calling thread has passed `mark` since it cleared its counts.
uint32_t ctenon_mark_count(int mark);

/// Sets the calling thread's counts to zero.
void ctenon_marks_clear(void);

#endif
