/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else inside the enclave (-include): every symbol, declared or defined, is
 * hidden, so that no reference goes through a global offset table.
 */
#pragma GCC visibility push(hidden)
