/* SPDX-License-Identifier: MIT */
/*
 * One instruction through Zydis' minimal decoder, and the rewriter's judgement of it. What may be
 * moved is a list of instructions known to be harmless, not the complement of a list of harmful
 * ones. Source: Intel SDM vol. 2, appendix A (opcode maps).
 */
#include "insn.h"

#include <Zydis/Decoder.h>

/* One bit for each opcode, 32 in a word. */
static const u32 g_plain_map0[8] = {
    0x3f3f3f3f, /* 00: ADD OR ADC SBB and their like, without prefixes and escapes */
    0x3f3f3f3f, /* 20: AND SUB XOR CMP */
    0xffff0000, /* 40: PUSH POP */
    0x00000a08, /* 60: MOVSXD IMUL */
    0x03ff2ffb, /* 80: group 1, TEST XCHG MOV LEA, XCHG NOP, CDQE CQO */
    0xffff0300, /* a0: TEST, MOV immediate */
    0x000f00c3, /* c0: shifts, MOV immediate */
    0x00c00000, /* e0: group 3 */
};
static const u32 g_plain_map0f[8] = {
    0x80030000, /* 00: MOVUPS, NOP */
    0x00000300, /* 20: MOVAPS */
    0x0080ffff, /* 40: CMOVcc, XORPS */
    0xc000c000, /* 60: MOVD MOVDQ */
    0xffff0000, /* 80: SETcc */
    0xc8c88808, /* a0: BT BTS BTR BTC, IMUL, MOVZX MOVSX */
    0x0040ff00, /* c0: BSWAP, MOVQ */
    0x00008000, /* e0: PXOR */
};

static bool in_map(const u32 map[8], u8 opcode)
{
    return map[opcode / 32] >> (opcode % 32) & 1;
}

static bool is_plain(const ZydisDecodedInstruction *z)
{
    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return false;
    if (z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT)
        return in_map(g_plain_map0, z->opcode);
    return z->opcode_map == ZYDIS_OPCODE_MAP_0F && in_map(g_plain_map0f, z->opcode);
}

static bool is_rip_relative(const ZydisDecodedInstruction *z)
{
    return (z->attributes & ZYDIS_ATTRIB_HAS_MODRM) && z->raw.modrm.mod == 0 &&
           z->raw.modrm.rm == 5;
}

static bool is_lea(const ZydisDecodedInstruction *z)
{
    return z->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
           z->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && z->opcode == 0x8d;
}

static void classify(const ZydisDecodedInstruction *z, struct insn *out)
{
    bool map_0f =
        z->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && z->opcode_map == ZYDIS_OPCODE_MAP_0F;

    out->target = 0;
    if (map_0f && z->opcode == 0x05) {
        out->kind = INSN_SYSCALL;
    } else if (map_0f && z->opcode == 0xa2) {
        out->kind = INSN_CPUID;
    } else if (z->raw.imm[0].is_relative) {
        out->kind = INSN_TARGET;
        out->target = z->length + z->raw.imm[0].value.s;
    } else if (is_rip_relative(z)) {
        out->kind = is_lea(z) ? INSN_TARGET : INSN_FIXED;
        out->target = z->length + z->raw.disp.value;
    } else {
        out->kind = is_plain(z) ? INSN_PLAIN : INSN_FIXED;
    }
}

bool insn_decode(const u8 *code, size_t avail, struct insn *out)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction z;

    if (ZYAN_FAILED(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        return false;
    if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(&decoder, NULL, code, avail, &z)))
        return false;
    out->size = z.length;
    classify(&z, out);
    return true;
}
