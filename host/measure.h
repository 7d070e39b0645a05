/* SPDX-License-Identifier: MIT */
/* MRENCLAVE computed outside, by the CPU's own algorithm (SDM vol. 3D: ECREATE, EADD, EEXTEND). */
#ifndef HOST_MEASURE_H
#define HOST_MEASURE_H

#include "image.h"

/* 0; -ENOMEM, -EIO when the crypto library fails. */
int measure_image(const struct image *image, const struct sgx_secs *secs, uint8_t mrenclave[32]);

#endif
