/* Notes how many bytes of a file were there each time that it was synced: what a machine that loses its power surely keeps of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sync_and_note(long call, int file) {
  char link[64], path[4096], line[4200];
  long long size = lseek(file, 0, SEEK_CUR) < 0 ? -1 : 0;
  struct stat facts;
  if (size == 0 && fstat(file, &facts) == 0) size = facts.st_size; /* before the sync: what is written meanwhile may not be on the disk */
  long result = syscall(call, file);
  const char *notes = getenv("MILLRACE_SYNCED_FILE");
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (result == 0 && size >= 0 && notes && length > 0) {
    path[length] = 0;
    int out = open(notes, O_WRONLY | O_CREAT | O_APPEND, 0600);
    int bytes = snprintf(line, sizeof line, "%lld %s\n", size, path);
    if (out >= 0) {
      if (write(out, line, bytes) != bytes) abort();
      close(out);
    }
  }
  return result;
}

int fsync(int file) { return sync_and_note(SYS_fsync, file); }

int fdatasync(int file) { return sync_and_note(SYS_fdatasync, file); }
