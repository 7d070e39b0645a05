/* SPDX-License-Identifier: MIT */
/* Arguments, environment, auxiliary vector, stdio: the least that a program sees. */
/* guest: args=one two */
#include "guest.h"
#include <sys/auxv.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    CHECK(argc == 3 && !strcmp(argv[1], "one") && !strcmp(argv[2], "two") && !argv[3]);
    CHECK(getenv("GUEST") && !strcmp(getenv("GUEST"), "1"));
    CHECK(getauxval(AT_PAGESZ) == 4096);
    CHECK(getauxval(AT_CLKTCK) == 100);
    CHECK(getauxval(AT_RANDOM) != 0);
    CHECK(getauxval(AT_SECURE) == 0);
    CHECK(getauxval(AT_UID) == getuid());
    CHECK(getauxval(AT_EXECFN) && strstr((char *)getauxval(AT_EXECFN), "hello"));
    CHECK(getauxval(AT_PLATFORM) && !strcmp((char *)getauxval(AT_PLATFORM), "x86_64"));
    CHECK(getauxval(AT_PHNUM) > 0 && getauxval(AT_PHENT) == 56);
    fprintf(stderr, "to stderr\n");
    printf("hello\n");
    return guest_done();
}
