/* SPDX-License-Identifier: MIT */
/* See elf_info.h. */
#include "elf_info.h"
#include <string.h>

#define SEGMENTS_MAX 128

/* ---- Safe access ------------------------------------------------------------------------------------- */

static const void *bytes_at(const struct elf_info *e, uint64_t offset, uint64_t size)
{
    return offset <= e->size && size <= e->size - offset ? e->data + offset : NULL;
}

static int load(const struct elf_info *e, uint64_t offset, void *out, size_t size)
{
    const void *p = bytes_at(e, offset, size);

    if (!p)
        return -1;
    memcpy(out, p, size);
    return 0;
}

static const char *string_at(const struct elf_info *e, uint64_t offset)
{
    if (!e->strings || offset >= e->strings_size)
        return NULL;
    return memchr(e->strings + offset, 0, e->strings_size - offset) ? e->strings + offset : NULL;
}

static int program_header(const struct elf_info *e, unsigned index, Elf64_Phdr *out)
{
    Elf64_Ehdr header;

    memcpy(&header, e->data, sizeof(header));
    if (index >= header.e_phnum || index >= SEGMENTS_MAX ||
        header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phoff > e->size)
        return -1;
    return load(e, header.e_phoff + (uint64_t)index * sizeof(*out), out, sizeof(*out));
}

/* Where the bytes of a virtual address are in the file; 0: nowhere. */
static uint64_t file_offset(const struct elf_info *e, uint64_t address)
{
    Elf64_Phdr p;

    for (unsigned i = 0; program_header(e, i, &p) == 0; i++)
        if (p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz &&
            address - p.p_vaddr + p.p_offset < e->size)
            return address - p.p_vaddr + p.p_offset;
    return 0;
}

/* ---- The dynamic section ----------------------------------------------------------------------------- */

struct dynamic {
    uint64_t strings, strings_size, symbols, hash, gnu_hash, versions;
    uint64_t soname, rpath, runpath;
    uint64_t needed[ELF_NEEDED_MAX];
};

static void take_entry(struct elf_info *e, struct dynamic *d, const Elf64_Dyn *entry)
{
    uint64_t value = entry->d_un.d_val;

    switch (entry->d_tag) {
    case DT_NEEDED:
        if (e->needed_count < ELF_NEEDED_MAX)
            d->needed[e->needed_count++] = value;
        break;
    case DT_STRTAB:
        d->strings = file_offset(e, value);
        break;
    case DT_STRSZ:
        d->strings_size = value;
        break;
    case DT_SYMTAB:
        d->symbols = file_offset(e, value);
        break;
    case DT_HASH:
        d->hash = file_offset(e, value);
        break;
    case DT_GNU_HASH:
        d->gnu_hash = file_offset(e, value);
        break;
    case DT_SONAME:
        d->soname = value;
        break;
    case DT_RPATH:
        d->rpath = value;
        break;
    case DT_RUNPATH:
        d->runpath = value;
        break;
    case DT_FLAGS_1:
        e->no_default_dirs = (value & DF_1_NODEFLIB) != 0;
        break;
    case DT_VERSYM:
        d->versions = file_offset(e, value);
        break;
    case DT_VERNEED:
        e->verneed = file_offset(e, value);
        break;
    case DT_VERNEEDNUM:
        e->verneed_count = value;
        break;
    case DT_VERDEF:
        e->verdef = file_offset(e, value);
        break;
    case DT_VERDEFNUM:
        e->verdef_count = value;
        break;
    }
}

/* The highest symbol index of a GNU hash table, plus one. */
static uint64_t gnu_hash_count(const struct elf_info *e, uint64_t at)
{
    uint32_t header[4]; /* buckets, first symbol, bloom words, shift */
    uint64_t buckets, chains;
    uint32_t highest = 0, value;

    if (load(e, at, header, sizeof(header)) < 0)
        return 0;
    buckets = at + sizeof(header) + (uint64_t)header[2] * 8;
    chains = buckets + (uint64_t)header[0] * 4;
    for (uint64_t i = 0; i < header[0]; i++) {
        if (load(e, buckets + i * 4, &value, 4) < 0)
            return 0;
        highest = value > highest ? value : highest;
    }
    if (highest < header[1])
        return header[1];
    do {
        if (load(e, chains + (uint64_t)(highest - header[1]) * 4, &value, 4) < 0)
            return 0;
        highest++;
    } while (!(value & 1));
    return highest;
}

static void find_symbols(struct elf_info *e, const struct dynamic *d)
{
    uint32_t header[2] = {0, 0}; /* buckets, chains */
    uint64_t count = d->gnu_hash ? gnu_hash_count(e, d->gnu_hash) : 0;

    if (!d->gnu_hash && d->hash && load(e, d->hash, header, sizeof(header)) == 0)
        count = header[1];
    if (!d->symbols || count > e->size / sizeof(Elf64_Sym))
        return;
    e->symbols = bytes_at(e, d->symbols, count * sizeof(Elf64_Sym));
    e->symbol_count = e->symbols ? count : 0;
    if (d->versions)
        e->versions = bytes_at(e, d->versions, count * sizeof(uint16_t));
}

static void take_strings(struct elf_info *e, const struct dynamic *d)
{
    size_t kept = 0;

    e->strings = bytes_at(e, d->strings, d->strings_size);
    e->strings_size = e->strings ? d->strings_size : 0;
    e->soname = d->soname ? string_at(e, d->soname) : NULL;
    e->rpath = d->rpath ? string_at(e, d->rpath) : NULL;
    e->runpath = d->runpath ? string_at(e, d->runpath) : NULL;
    for (size_t i = 0; i < e->needed_count; i++) {
        e->needed[kept] = string_at(e, d->needed[i]);
        kept += e->needed[kept] && e->needed[kept][0];
    }
    e->needed_count = kept;
}

static void read_dynamic(struct elf_info *e, const Elf64_Phdr *segment)
{
    struct dynamic d = {0};
    Elf64_Dyn entry;

    for (uint64_t at = 0; at + sizeof(entry) <= segment->p_filesz; at += sizeof(entry)) {
        if (load(e, segment->p_offset + at, &entry, sizeof(entry)) < 0 || entry.d_tag == DT_NULL)
            break;
        take_entry(e, &d, &entry);
    }
    take_strings(e, &d);
    find_symbols(e, &d);
}

/* ---- The file ---------------------------------------------------------------------------------------- */

int elf_is(const uint8_t *data, size_t size)
{
    return size >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0;
}

static const char *header_problem(const struct elf_info *e)
{
    Elf64_Ehdr h;

    if (e->size < sizeof(h))
        return "a truncated ELF file";
    memcpy(&h, e->data, sizeof(h));
    if (h.e_ident[EI_CLASS] != ELFCLASS64)
        return "a 32-bit program; only x86-64 is served";
    if (h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_machine != EM_X86_64)
        return "made for another processor; only x86-64 is served";
    if (h.e_type != ET_EXEC && h.e_type != ET_DYN)
        return "neither a program nor a library";
    if (h.e_phnum == 0 || h.e_phentsize != sizeof(Elf64_Phdr) ||
        !bytes_at(e, h.e_phoff, (uint64_t)h.e_phnum * sizeof(Elf64_Phdr)))
        return "a damaged or truncated ELF file";
    return NULL;
}

int elf_read(const uint8_t *data, size_t size, struct elf_info *info, const char **why)
{
    Elf64_Phdr p;

    memset(info, 0, sizeof(*info));
    info->data = data;
    info->size = size;
    *why = header_problem(info);
    if (*why)
        return -1;
    info->type = (uint16_t)(data[16] | data[17] << 8);
    for (unsigned i = 0; program_header(info, i, &p) == 0; i++) {
        const char *bytes = bytes_at(info, p.p_offset, p.p_filesz);

        if (p.p_type == PT_LOAD && p.p_filesz && !bytes) {
            *why = "truncated: it names bytes beyond its end";
            return -1;
        }
        if (p.p_type == PT_INTERP && bytes && p.p_filesz && bytes[p.p_filesz - 1] == '\0')
            info->interp = bytes;
        if (p.p_type == PT_DYNAMIC)
            read_dynamic(info, &p);
    }
    return 0;
}

/* ---- Symbols ----------------------------------------------------------------------------------------- */

static const char *needed_version(const struct elf_info *e, uint16_t index)
{
    uint64_t at = e->verneed;
    Elf64_Verneed need;

    for (uint64_t i = 0; at && i < e->verneed_count && load(e, at, &need, sizeof(need)) == 0; i++) {
        uint64_t aux_at = at + need.vn_aux;
        Elf64_Vernaux aux;

        for (unsigned k = 0; k < need.vn_cnt && load(e, aux_at, &aux, sizeof(aux)) == 0; k++) {
            if (aux.vna_other == index)
                return string_at(e, aux.vna_name);
            aux_at += aux.vna_next;
        }
        if (!need.vn_next)
            break;
        at += need.vn_next;
    }
    return NULL;
}

static const char *defined_version(const struct elf_info *e, uint16_t index)
{
    uint64_t at = e->verdef;
    Elf64_Verdef def;
    Elf64_Verdaux aux;

    for (uint64_t i = 0; at && i < e->verdef_count && load(e, at, &def, sizeof(def)) == 0; i++) {
        if (def.vd_ndx == index)
            return load(e, at + def.vd_aux, &aux, sizeof(aux)) == 0 ? string_at(e, aux.vda_name)
                                                                    : NULL;
        if (!def.vd_next)
            break;
        at += def.vd_next;
    }
    return NULL;
}

int elf_symbol(const struct elf_info *info, size_t index, struct elf_symbol *out)
{
    uint16_t version = 0;
    unsigned binding;
    Elf64_Sym s;

    memcpy(&s, info->symbols + index * sizeof(s), sizeof(s));
    binding = ELF64_ST_BIND(s.st_info);
    out->name = string_at(info, s.st_name);
    if (!out->name || !out->name[0] || binding == STB_LOCAL)
        return 0;
    out->defined = s.st_shndx != SHN_UNDEF;
    out->weak = binding == STB_WEAK;
    out->version = NULL;
    if (info->versions)
        memcpy(&version, info->versions + index * sizeof(version), sizeof(version));
    version &= 0x7fff;
    if (version > 1)
        out->version = out->defined ? defined_version(info, version)
                                    : needed_version(info, version);
    return 1;
}
