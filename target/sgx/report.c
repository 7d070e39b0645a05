/* SPDX-License-Identifier: MIT */
/*
 * What this enclave is, from its own REPORT: the CPU's word, unlike anything the host says.
 */
#include "enclu.h"
#include "sgx_target.h"
#include <kernel/target.h>

u64 g_xfrm;

/* Components that XSAVE_AREA_SIZE has room for. */
#define XFRM_SERVED (SGX_XFRM_LEGACY | SGX_XFRM_AVX | SGX_XFRM_AVX512)

static _Alignas(512) struct sgx_report g_report;
static _Alignas(512) struct sgx_targetinfo g_targetinfo;
static _Alignas(128) struct sgx_report_data g_report_data;

void sgx_report_init(void)
{
    if (enclu_leaf(SGX_EREPORT, &g_targetinfo, (uintptr_t)&g_report_data, (uintptr_t)&g_report))
        target_abort("EREPORT failed");
    g_xfrm = g_report.attributes.xfrm;
    if (g_xfrm & ~XFRM_SERVED)
        target_abort("XFRM names state that this kernel does not keep");
    if (!(g_report.misc_select & SGX_MISC_EXINFO))
        target_abort("MISCSELECT lacks EXINFO");
}

u64 target_xfrm(void)
{
    return g_xfrm;
}
