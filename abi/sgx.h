/* SPDX-License-Identifier: MIT */
/*
 * Intel SGX's architectural structures, as the CPU reads and writes them.
 *
 * Source: Intel SDM volume 3D, chapters "Enclave Access Control and Data Structures" (structures)
 * and "SGX Instruction References" (leaf numbers, error codes, measurement records). Shared by the
 * enclave, the image builder and the simulator; freestanding, nothing but <stdint.h>. All numbers
 * are little endian. Alignment that the CPU demands is stated at each structure, not forced on it.
 */
#ifndef ABI_SGX_H
#define ABI_SGX_H

#include <stdint.h>

#define SGX_OFFSET_IS(type, field, off)                                                            \
    _Static_assert(__builtin_offsetof(type, field) == (off), #type "." #field)
#define SGX_SIZE_IS(type, size) _Static_assert(sizeof(type) == (size), #type)

#define SGX_ENCLU_OPCODE "\x0f\x01\xd7"

/* ENCLU leaves (EAX). */
enum sgx_enclu_leaf {
    SGX_EREPORT = 0,
    SGX_EGETKEY = 1,
    SGX_EENTER = 2,
    SGX_ERESUME = 3,
    SGX_EEXIT = 4,
    SGX_EACCEPT = 5,
    SGX_EMODPE = 6,
    SGX_EACCEPTCOPY = 7,
    SGX_EVERIFYREPORT2 = 8,
    SGX_EDECCSSA = 9,
};

/* ENCLS leaves (EAX). */
enum sgx_encls_leaf {
    SGX_ECREATE = 0x00,
    SGX_EADD = 0x01,
    SGX_EINIT = 0x02,
    SGX_EREMOVE = 0x03,
    SGX_EEXTEND = 0x06,
    SGX_ETRACK = 0x0c,
    SGX_EAUG = 0x0d,
    SGX_EMODPR = 0x0e,
    SGX_EMODT = 0x0f,
};

/* What a leaf leaves in RAX when it sets ZF. */
enum sgx_error {
    SGX_SUCCESS = 0,
    SGX_INVALID_SIG_STRUCT = 1,
    SGX_INVALID_ATTRIBUTE = 2,
    SGX_BLKSTATE = 3,
    SGX_INVALID_MEASUREMENT = 4,
    SGX_NOTBLOCKABLE = 5,
    SGX_PG_INVLD = 6,
    SGX_EPC_PAGE_CONFLICT = 7,
    SGX_INVALID_SIGNATURE = 8,
    SGX_MAC_COMPARE_FAIL = 9,
    SGX_PAGE_NOT_BLOCKED = 10,
    SGX_NOT_TRACKED = 11,
    SGX_VA_SLOT_OCCUPIED = 12,
    SGX_CHILD_PRESENT = 13,
    SGX_ENCLAVE_ACT = 14,
    SGX_ENTRYEPOCH_LOCKED = 15,
    SGX_INVALID_EINITTOKEN = 16,
    SGX_PREV_TRK_INCMPL = 17,
    SGX_PG_IS_SECS = 18,
    SGX_PAGE_ATTRIBUTES_MISMATCH = 19,
    SGX_PAGE_NOT_MODIFIABLE = 20,
    SGX_PAGE_NOT_DEBUGGABLE = 21,
    SGX_INVALID_CPUSVN = 32,
    SGX_INVALID_ISVSVN = 64,
    SGX_UNMASKED_EVENT = 128,
    SGX_INVALID_KEYNAME = 256,
};

/* ATTRIBUTES: flags in the low half, XFRM (an XCR0 value) in the high half. */
#define SGX_ATTR_INIT          (1ULL << 0)
#define SGX_ATTR_DEBUG         (1ULL << 1)
#define SGX_ATTR_MODE64BIT     (1ULL << 2)
#define SGX_ATTR_PROVISIONKEY  (1ULL << 4)
#define SGX_ATTR_EINITTOKENKEY (1ULL << 5)
#define SGX_ATTR_CET           (1ULL << 6)
#define SGX_ATTR_KSS           (1ULL << 7)
#define SGX_ATTR_AEXNOTIFY     (1ULL << 10)

#define SGX_XFRM_X87       (1ULL << 0)
#define SGX_XFRM_SSE       (1ULL << 1)
#define SGX_XFRM_AVX       (1ULL << 2)
#define SGX_XFRM_BNDREGS   (1ULL << 3)
#define SGX_XFRM_BNDCSR    (1ULL << 4)
#define SGX_XFRM_OPMASK    (1ULL << 5)
#define SGX_XFRM_ZMM_HI256 (1ULL << 6)
#define SGX_XFRM_HI16_ZMM  (1ULL << 7)
#define SGX_XFRM_PKRU      (1ULL << 9)
#define SGX_XFRM_TILECFG   (1ULL << 17)
#define SGX_XFRM_TILEDATA  (1ULL << 18)
/* EENTER's and ECREATE's rule: X87 and SSE are always set. */
#define SGX_XFRM_LEGACY (SGX_XFRM_X87 | SGX_XFRM_SSE)
#define SGX_XFRM_AVX512 (SGX_XFRM_OPMASK | SGX_XFRM_ZMM_HI256 | SGX_XFRM_HI16_ZMM)

struct sgx_attributes {
    uint64_t flags;
    uint64_t xfrm;
};
SGX_SIZE_IS(struct sgx_attributes, 16);

/* MISCSELECT: what an AEX stores in the SSA frame's MISC region. */
#define SGX_MISC_EXINFO (1U << 0)
#define SGX_MISC_CET    (1U << 1)

/* SECS: one 4 KiB page, 4 KiB aligned; what ECREATE reads and the CPU keeps. */
struct sgx_secs {
    uint64_t size;           /* bytes, a power of two */
    uint64_t base;           /* aligned on size */
    uint32_t ssa_frame_size; /* pages */
    uint32_t misc_select;
    uint64_t cet_leg_bitmap_offset;
    uint8_t cet_attributes;
    uint8_t reserved1[15];
    struct sgx_attributes attributes;
    uint8_t mrenclave[32];
    uint8_t reserved2[32];
    uint8_t mrsigner[32];
    uint8_t reserved3[32];
    uint8_t config_id[64]; /* KSS */
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint16_t config_svn; /* KSS */
    uint8_t reserved4[3834];
};
SGX_SIZE_IS(struct sgx_secs, 4096);
SGX_OFFSET_IS(struct sgx_secs, ssa_frame_size, 16);
SGX_OFFSET_IS(struct sgx_secs, misc_select, 20);
SGX_OFFSET_IS(struct sgx_secs, cet_attributes, 32);
SGX_OFFSET_IS(struct sgx_secs, attributes, 48);
SGX_OFFSET_IS(struct sgx_secs, mrenclave, 64);
SGX_OFFSET_IS(struct sgx_secs, mrsigner, 128);
SGX_OFFSET_IS(struct sgx_secs, config_id, 192);
SGX_OFFSET_IS(struct sgx_secs, isv_prod_id, 256);
SGX_OFFSET_IS(struct sgx_secs, isv_svn, 258);
SGX_OFFSET_IS(struct sgx_secs, config_svn, 260);

/* TCS.FLAGS. */
#define SGX_TCS_DBGOPTIN  (1ULL << 0)
#define SGX_TCS_AEXNOTIFY (1ULL << 1)

/* TCS: one page, 4 KiB aligned. Offsets are relative to SECS.BASEADDR. */
struct sgx_tcs {
    uint64_t reserved1;
    uint64_t flags;
    uint64_t ossa;   /* first SSA frame, page aligned */
    uint32_t cssa;   /* must be 0 at EADD/EACCEPT */
    uint32_t nssa;   /* not 0 */
    uint64_t oentry;
    uint64_t aep;    /* the CPU's own */
    uint64_t ofs_base;
    uint64_t ogs_base;
    uint32_t fs_limit; /* low 12 bits set: unused in 64-bit mode */
    uint32_t gs_limit;
    uint64_t ocet_ssa;
    uint64_t prev_ssp;
    uint8_t reserved2[4008];
};
SGX_SIZE_IS(struct sgx_tcs, 4096);
SGX_OFFSET_IS(struct sgx_tcs, flags, 8);
SGX_OFFSET_IS(struct sgx_tcs, ossa, 16);
SGX_OFFSET_IS(struct sgx_tcs, cssa, 24);
SGX_OFFSET_IS(struct sgx_tcs, nssa, 28);
SGX_OFFSET_IS(struct sgx_tcs, oentry, 32);
SGX_OFFSET_IS(struct sgx_tcs, ofs_base, 48);
SGX_OFFSET_IS(struct sgx_tcs, ogs_base, 56);
SGX_OFFSET_IS(struct sgx_tcs, fs_limit, 64);
SGX_OFFSET_IS(struct sgx_tcs, ocet_ssa, 72);
SGX_OFFSET_IS(struct sgx_tcs, reserved2, 88);

/* GPRSGX: the last 184 bytes of an SSA frame. */
struct sgx_gprsgx {
    uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rflags;
    uint64_t rip;
    uint64_t ursp; /* the untrusted RSP and RBP of EENTER: what an AEX restores */
    uint64_t urbp;
    uint32_t exit_info;
    uint8_t reserved[3];
    uint8_t aex_notify;
    uint64_t fs_base;
    uint64_t gs_base;
};
SGX_SIZE_IS(struct sgx_gprsgx, 184);
SGX_OFFSET_IS(struct sgx_gprsgx, rdi, 56);
SGX_OFFSET_IS(struct sgx_gprsgx, r15, 120);
SGX_OFFSET_IS(struct sgx_gprsgx, rflags, 128);
SGX_OFFSET_IS(struct sgx_gprsgx, rip, 136);
SGX_OFFSET_IS(struct sgx_gprsgx, ursp, 144);
SGX_OFFSET_IS(struct sgx_gprsgx, exit_info, 160);
SGX_OFFSET_IS(struct sgx_gprsgx, aex_notify, 167);
SGX_OFFSET_IS(struct sgx_gprsgx, fs_base, 168);

/* GPRSGX.EXITINFO. All zero when the exit was an interrupt or a fault that is not reported. */
#define SGX_EXITINFO_VECTOR(x) ((x) & 0xffU)
#define SGX_EXITINFO_TYPE(x)   (((x) >> 8) & 7U)
#define SGX_EXITINFO_VALID     (1U << 31)
#define SGX_EXIT_TYPE_HARDWARE 3U /* fault */
#define SGX_EXIT_TYPE_SOFTWARE 6U /* INT3 */

/*
 * EXINFO: the 16 bytes right below GPRSGX, present when MISCSELECT.EXINFO is set; written for #PF
 * and #GP only (which EXITINFO does not report at all when the bit is clear).
 */
struct sgx_exinfo {
    uint64_t maddr;  /* #PF: the faulting linear address; #GP: 0 */
    uint32_t errcd;
    uint32_t reserved;
};
SGX_SIZE_IS(struct sgx_exinfo, 16);

/* Page-fault error code bits, as in EXINFO.ERRCD and sgx_enclave_run. */
#define SGX_PF_P   (1U << 0)
#define SGX_PF_W   (1U << 1)
#define SGX_PF_U   (1U << 2)
#define SGX_PF_I   (1U << 4)
#define SGX_PF_PK  (1U << 5)
#define SGX_PF_SGX (1U << 15)

/* SECINFO: 64 bytes, 64-byte aligned. */
#define SGX_SECINFO_R        (1ULL << 0)
#define SGX_SECINFO_W        (1ULL << 1)
#define SGX_SECINFO_X        (1ULL << 2)
#define SGX_SECINFO_PENDING  (1ULL << 3)
#define SGX_SECINFO_MODIFIED (1ULL << 4)
#define SGX_SECINFO_PR       (1ULL << 5)
#define SGX_SECINFO_RWX      (SGX_SECINFO_R | SGX_SECINFO_W | SGX_SECINFO_X)
#define SGX_SECINFO_PT_SHIFT 8
#define SGX_SECINFO_PT_MASK  (0xffULL << SGX_SECINFO_PT_SHIFT)
#define SGX_SECINFO_PT(type) ((uint64_t)(type) << SGX_SECINFO_PT_SHIFT)

enum sgx_page_type {
    SGX_PT_SECS = 0,
    SGX_PT_TCS = 1,
    SGX_PT_REG = 2,
    SGX_PT_VA = 3,
    SGX_PT_TRIM = 4,
    SGX_PT_SS_FIRST = 5,
    SGX_PT_SS_REST = 6,
};

struct sgx_secinfo {
    uint64_t flags;
    uint8_t reserved[56];
};
SGX_SIZE_IS(struct sgx_secinfo, 64);

/* The measurement's records, one SHA-256 block each: what ECREATE, EADD and EEXTEND hash. */
#define SGX_MEASURE_ECREATE 0x0045544145524345ULL /* "ECREATE\0" */
#define SGX_MEASURE_EADD    0x0000000044444145ULL /* "EADD\0\0\0\0" */
#define SGX_MEASURE_EEXTEND 0x00444e4554584545ULL /* "EEXTEND\0" */
#define SGX_EEXTEND_SIZE    256U                  /* bytes hashed after one EEXTEND record */

struct sgx_measure_ecreate {
    uint64_t tag;
    uint32_t ssa_frame_size;
    uint32_t size_low; /* SECS.SIZE stands unaligned at byte 12 */
    uint32_t size_high;
    uint8_t zero[44];
};
SGX_SIZE_IS(struct sgx_measure_ecreate, 64);

struct sgx_measure_eadd {
    uint64_t tag;
    uint64_t offset;
    uint8_t secinfo[48]; /* SECINFO's first 48 bytes */
};
SGX_SIZE_IS(struct sgx_measure_eadd, 64);

struct sgx_measure_eextend {
    uint64_t tag;
    uint64_t offset;
    uint8_t zero[48];
};
SGX_SIZE_IS(struct sgx_measure_eextend, 64);

/* SIGSTRUCT: 1,808 bytes. The signature covers bytes 0..127 and 900..1027. */
#define SGX_SIG_MODULUS_SIZE 384U
#define SGX_SIG_HEADER1                                                                            \
    {                                                                                              \
        0x06, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0                                       \
    }
#define SGX_SIG_HEADER2                                                                            \
    {                                                                                              \
        0x01, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0                                    \
    }
#define SGX_SIG_PART1_SIZE 128U
#define SGX_SIG_PART2_OFF  900U
#define SGX_SIG_PART2_SIZE 128U

struct sgx_sigstruct {
    uint8_t header[16];
    uint32_t vendor; /* 0, or 0x8086 for Intel's */
    uint32_t date;   /* 0xYYYYMMDD */
    uint8_t header2[16];
    uint32_t swdefined;
    uint8_t reserved1[84];
    uint8_t modulus[SGX_SIG_MODULUS_SIZE]; /* little endian, as the next big numbers */
    uint32_t exponent;                     /* 3 */
    uint8_t signature[SGX_SIG_MODULUS_SIZE];
    uint32_t misc_select;
    uint32_t misc_mask;
    uint8_t cet_attributes;
    uint8_t cet_attributes_mask;
    uint8_t reserved2[2];
    uint8_t isv_family_id[16]; /* KSS */
    struct sgx_attributes attributes;
    struct sgx_attributes attribute_mask;
    uint8_t enclave_hash[32];
    uint8_t reserved3[16];
    uint8_t isv_ext_prod_id[16]; /* KSS */
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint8_t reserved4[12];
    uint8_t q1[SGX_SIG_MODULUS_SIZE]; /* floor(signature^2 / modulus) */
    uint8_t q2[SGX_SIG_MODULUS_SIZE]; /* floor((signature^3 - q1*signature*modulus) / modulus) */
};
SGX_SIZE_IS(struct sgx_sigstruct, 1808);
SGX_OFFSET_IS(struct sgx_sigstruct, header2, 24);
SGX_OFFSET_IS(struct sgx_sigstruct, swdefined, 40);
SGX_OFFSET_IS(struct sgx_sigstruct, modulus, 128);
SGX_OFFSET_IS(struct sgx_sigstruct, exponent, 512);
SGX_OFFSET_IS(struct sgx_sigstruct, signature, 516);
SGX_OFFSET_IS(struct sgx_sigstruct, misc_select, 900);
SGX_OFFSET_IS(struct sgx_sigstruct, isv_family_id, 912);
SGX_OFFSET_IS(struct sgx_sigstruct, attributes, 928);
SGX_OFFSET_IS(struct sgx_sigstruct, attribute_mask, 944);
SGX_OFFSET_IS(struct sgx_sigstruct, enclave_hash, 960);
SGX_OFFSET_IS(struct sgx_sigstruct, isv_ext_prod_id, 1008);
SGX_OFFSET_IS(struct sgx_sigstruct, isv_prod_id, 1024);
SGX_OFFSET_IS(struct sgx_sigstruct, isv_svn, 1026);
SGX_OFFSET_IS(struct sgx_sigstruct, q1, 1040);
SGX_OFFSET_IS(struct sgx_sigstruct, q2, 1424);

/* REPORTDATA: EREPORT's RCX, 128-byte aligned. */
struct sgx_report_data {
    uint8_t data[64];
};
SGX_SIZE_IS(struct sgx_report_data, 64);

/* TARGETINFO: EREPORT's RBX, 512-byte aligned. */
struct sgx_targetinfo {
    uint8_t measurement[32]; /* MRENCLAVE of the enclave that will verify */
    struct sgx_attributes attributes;
    uint8_t cet_attributes;
    uint8_t reserved1;
    uint16_t config_svn;
    uint32_t misc_select;
    uint8_t reserved2[8];
    uint8_t config_id[64];
    uint8_t reserved3[384];
};
SGX_SIZE_IS(struct sgx_targetinfo, 512);
SGX_OFFSET_IS(struct sgx_targetinfo, attributes, 32);
SGX_OFFSET_IS(struct sgx_targetinfo, config_svn, 50);
SGX_OFFSET_IS(struct sgx_targetinfo, misc_select, 52);
SGX_OFFSET_IS(struct sgx_targetinfo, config_id, 64);

/* REPORT: EREPORT's output (RDX), 512-byte aligned. The MAC covers the first 384 bytes. */
#define SGX_REPORT_MAC_SIZE 384U

struct sgx_report {
    uint8_t cpu_svn[16];
    uint32_t misc_select;
    uint8_t cet_attributes;
    uint8_t reserved1[11];
    uint8_t isv_ext_prod_id[16];
    struct sgx_attributes attributes;
    uint8_t mrenclave[32];
    uint8_t reserved2[32];
    uint8_t mrsigner[32];
    uint8_t reserved3[32];
    uint8_t config_id[64];
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint16_t config_svn;
    uint8_t reserved4[42];
    uint8_t isv_family_id[16];
    struct sgx_report_data report_data;
    uint8_t key_id[32];
    uint8_t mac[16];
};
SGX_SIZE_IS(struct sgx_report, 432);
SGX_OFFSET_IS(struct sgx_report, isv_ext_prod_id, 32);
SGX_OFFSET_IS(struct sgx_report, attributes, 48);
SGX_OFFSET_IS(struct sgx_report, mrenclave, 64);
SGX_OFFSET_IS(struct sgx_report, mrsigner, 128);
SGX_OFFSET_IS(struct sgx_report, config_id, 192);
SGX_OFFSET_IS(struct sgx_report, isv_prod_id, 256);
SGX_OFFSET_IS(struct sgx_report, isv_family_id, 304);
SGX_OFFSET_IS(struct sgx_report, report_data, 320);
SGX_OFFSET_IS(struct sgx_report, key_id, 384);
SGX_OFFSET_IS(struct sgx_report, mac, 416);

enum sgx_key_name {
    SGX_KEY_EINITTOKEN = 0,
    SGX_KEY_PROVISION = 1,
    SGX_KEY_PROVISION_SEAL = 2,
    SGX_KEY_REPORT = 3,
    SGX_KEY_SEAL = 4,
};

#define SGX_KEYPOLICY_MRENCLAVE    (1U << 0)
#define SGX_KEYPOLICY_MRSIGNER     (1U << 1)
#define SGX_KEYPOLICY_NOISVPRODID  (1U << 2)
#define SGX_KEYPOLICY_CONFIGID     (1U << 3)
#define SGX_KEYPOLICY_ISVFAMILYID  (1U << 4)
#define SGX_KEYPOLICY_ISVEXTPRODID (1U << 5)
#define SGX_KEYPOLICY_KSS          (0x3cU)
#define SGX_KEY_SIZE               16U

/* KEYREQUEST: EGETKEY's RBX, 512-byte aligned; the key goes to RCX, 16-byte aligned. */
struct sgx_keyrequest {
    uint16_t key_name;
    uint16_t key_policy;
    uint16_t isv_svn;
    uint8_t cet_attributes_mask;
    uint8_t reserved1;
    uint8_t cpu_svn[16];
    struct sgx_attributes attribute_mask;
    uint8_t key_id[32];
    uint32_t misc_mask;
    uint16_t config_svn;
    uint8_t reserved2[434];
};
SGX_SIZE_IS(struct sgx_keyrequest, 512);
SGX_OFFSET_IS(struct sgx_keyrequest, isv_svn, 4);
SGX_OFFSET_IS(struct sgx_keyrequest, cpu_svn, 8);
SGX_OFFSET_IS(struct sgx_keyrequest, attribute_mask, 24);
SGX_OFFSET_IS(struct sgx_keyrequest, key_id, 40);
SGX_OFFSET_IS(struct sgx_keyrequest, misc_mask, 72);
SGX_OFFSET_IS(struct sgx_keyrequest, config_svn, 76);

/*
 * XSAVE's fixed parts within an SSA frame, which starts with the XSAVE area. AEX writes XSAVE's
 * standard (non-compacted) format for XFRM; ERESUME requires XCOMP_BV to be zero.
 */
#define SGX_XSAVE_LEGACY_SIZE 512U
#define SGX_XSAVE_HEADER_SIZE 64U

#endif
