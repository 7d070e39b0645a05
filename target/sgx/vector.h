/* SPDX-License-Identifier: MIT */
/* How much room a thread's vector state takes: the standard XSAVE format up to AVX-512's end. */
#ifndef TARGET_SGX_VECTOR_H
#define TARGET_SGX_VECTOR_H

#define XSAVE_AREA_SIZE 2752

#endif
