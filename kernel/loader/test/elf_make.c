/* SPDX-License-Identifier: MIT */
#include "elf_make.h"

#include <kernel/string.h>

static ssize_t read_made(void *ctx, void *buf, size_t size, u64 pos)
{
    struct made *m = ctx;

    memcpy(buf, m->data + pos, size);
    return (ssize_t)size;
}

struct elf_reader made_reader(struct made *m)
{
    return (struct elf_reader){.read = read_made, .ctx = m, .size = m->size};
}

Elf64_Phdr *made_phdr(struct made *m, u32 type, u64 offset, u64 size)
{
    Elf64_Phdr *p = &m->phdrs[m->ehdr->e_phnum++];

    *p = (Elf64_Phdr){.p_type = type,
                      .p_flags = PF_R,
                      .p_offset = offset,
                      .p_vaddr = offset,
                      .p_filesz = size,
                      .p_memsz = size,
                      .p_align = 0x1000};
    return p;
}

void made_init(struct made *m)
{
    memset(m, 0, sizeof(*m));
    m->size = sizeof(m->data);
    m->ehdr = (void *)m->data;
    m->phdrs = (void *)(m->data + sizeof(Elf64_Ehdr));
    memcpy(m->ehdr->e_ident, ELFMAG, SELFMAG);
    m->ehdr->e_ident[EI_CLASS] = ELFCLASS64;
    m->ehdr->e_ident[EI_DATA] = ELFDATA2LSB;
    m->ehdr->e_type = ET_DYN;
    m->ehdr->e_machine = EM_X86_64;
    m->ehdr->e_entry = MADE_CODE_VA;
    m->ehdr->e_phoff = sizeof(Elf64_Ehdr);
    m->ehdr->e_phentsize = sizeof(Elf64_Phdr);
    made_phdr(m, PT_LOAD, 0, 0x3000)->p_flags = PF_R | PF_X;
    made_phdr(m, PT_LOAD, 0x3000, 0x1000)->p_memsz = 0x2800;
    m->phdrs[1].p_flags = PF_R | PF_W;
    made_phdr(m, PT_GNU_STACK, 0, 0)->p_flags = PF_R | PF_W;
}

/* Section 1: .text; section 2: .symtab at 0x4400; headers at 0x4000. */
void made_code(struct made *m, const u8 *code, size_t size, const size_t *functions)
{
    Elf64_Shdr *s = (void *)(m->data + 0x4000);
    Elf64_Sym *sym = (void *)(m->data + 0x4400);
    u64 va = MADE_CODE_VA;
    size_t n = 1;

    memcpy(m->data + MADE_CODE_OFF, code, size);
    for (; *functions; functions++) {
        u64 part = *functions & ~MADE_NO_SYMBOL;

        if (!(*functions & MADE_NO_SYMBOL))
            sym[n++] = (Elf64_Sym){.st_info = STT_FUNC | STB_GLOBAL << 4,
                                   .st_shndx = 1,
                                   .st_value = va,
                                   .st_size = part};
        va += part;
    }
    s[1] = (Elf64_Shdr){.sh_type = SHT_PROGBITS,
                        .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                        .sh_addr = MADE_CODE_VA,
                        .sh_offset = MADE_CODE_OFF,
                        .sh_size = size};
    s[2] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
                        .sh_offset = 0x4400,
                        .sh_size = n * sizeof(*sym),
                        .sh_entsize = sizeof(*sym)};
    m->ehdr->e_shoff = 0x4000;
    m->ehdr->e_shentsize = sizeof(*s);
    m->ehdr->e_shnum = 3;
}
