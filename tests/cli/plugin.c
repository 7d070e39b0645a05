/* SPDX-License-Identifier: MIT */
/* A library for debuggee_plugin.c. */
int plugin_work(int n);

int plugin_work(int n)
{
    int twice = n * 2;

    return twice + 1;
}
