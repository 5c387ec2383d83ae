#include "common/base/panic.c"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "tests/unit/logged.h"
#include "tests/unit/unit.h"

START_TEST(a_panic_says_why_and_aborts)
{
	struct logged logged = logged_start();
	pid_t child = fork();
	int status;

	if (child == 0) {
		errno = EBADF;
		panic("epoll_ctl of %d: %m", 7);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_ptr_nonnull(strstr(logged_end(&logged),
	                             "panic reason=\"epoll_ctl of 7: Bad file descriptor\""));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { a_panic_says_why_and_aborts };

	return unit_run("panic", tests, ARRAY_LEN(tests), NULL, NULL);
}
