/* SPDX-License-Identifier: MIT */
/* A terminal's settings in the forms in which programs give and take them (ioctl_tty(2), termios(3)). */
#ifndef KERNEL_TTY_SETTINGS_H
#define KERNEL_TTY_SETTINGS_H

#include "pty.h"

/* How much TCSETS and its variants wait for and drop first. */
enum set_when { SET_NOW, SET_DRAIN, SET_FLUSH };

/* TCGETS and TCGETS2. 0 or -EFAULT. */
long settings_get(struct pty *p, void __user *arg, size_t size);
/* TCSETS* and TCSETS*2, by the size of what `arg` points to. 0 or -EFAULT. */
long settings_set(struct pty *p, const void __user *arg, size_t size, enum set_when when);

#endif
