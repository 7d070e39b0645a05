/* SPDX-License-Identifier: MIT */
/*
 * The kernel's heap: slabs for objects up to 2,048 bytes, runs of whole pages above.
 *
 * A size class owns slabs of one or four pages. A slab's descriptor (struct kpage of its first
 * page) counts the objects handed out and heads the list of returned ones, threaded through the
 * objects themselves; objects that were never handed out are carved off the end on demand. Slabs
 * with room are on their class' partial list; full ones on none; the last empty one of a class is
 * kept.
 *
 * Locking: each class has a spinlock over its lists and its slabs' descriptors. Pages are taken and
 * returned without it. Nothing here takes mm->lock or sleeps, so faults may allocate.
 *
 * Builds with ADYTON_POISON (the unit tests) fill returned objects with a pattern and check it when
 * they are handed out again.
 */
#include "internal.h"

#define SLAB_MAX    2048u
#define POISON      0x6b
#define CLASS_COUNT 24u

static const u16 g_class_size[CLASS_COUNT] = {16,  32,  48,  64,   80,   96,   112,  128,
                                              160, 192, 224, 256,  320,  384,  448,  512,
                                              640, 768, 896, 1024, 1280, 1536, 1792, 2048};

struct slab_class {
    spinlock_t lock;
    struct list partial GUARDED_BY(&lock); /* kpage.link of slabs with room */
    struct kpage *spare GUARDED_BY(&lock); /* an empty slab, on the partial list */
};

static struct slab_class g_classes[CLASS_COUNT];

/* Sizes up to 128 in steps of 16, then four steps for each doubling. */
static unsigned class_of(size_t size)
{
    if (size <= 128)
        return size ? (unsigned)((size - 1) / 16) : 0;
    unsigned order = 63 - (unsigned)__builtin_clzl(size - 1); /* 7 for 129..256 */
    return 8 + (order - 7) * 4 + (unsigned)((size - 1) >> (order - 2) & 3);
}

static unsigned slab_pages(unsigned class)
{
    return g_class_size[class] <= 512 ? 1 : 4;
}

static unsigned slab_capacity(unsigned class)
{
    return slab_pages(class) * (unsigned)PAGE_SIZE / g_class_size[class];
}

#ifdef ADYTON_POISON
static void poison_set(void *object, size_t size)
{
    memset((char *)object + sizeof(void *), POISON, size - sizeof(void *));
}

static void poison_check(const void *object, size_t size)
{
    const u8 *bytes = object;
    for (size_t i = sizeof(void *); i < size; i++)
        ASSERT(bytes[i] == POISON);
}
#else
static void poison_set(void *object, size_t size)
{
    (void)object;
    (void)size;
}

static void poison_check(const void *object, size_t size)
{
    (void)object;
    (void)size;
}
#endif

void heap_init(void)
{
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        spin_init(&g_classes[i].lock, "slab");
        list_init(&g_classes[i].partial);
    }
}

/* slab->count doubles as the number of objects carved off so far. */
static struct kpage *slab_create(unsigned class)
{
    unsigned pages = slab_pages(class);
    void *p = kpages_alloc_dirty(pages);
    if (!p)
        return NULL;
    struct kpage *slab = kpage_of(p);
    for (unsigned i = 1; i < pages; i++) {
        kpage_set_kind(&slab[i], KPAGE_SLAB_TAIL);
        slab[i].count = i;
    }
    kpage_set_kind(slab, KPAGE_SLAB);
    slab->class = (u8) class;
    slab->freelist = NULL;
    slab->used = 0;
    slab->count = 0;
    return slab;
}

static void slab_destroy(struct kpage *slab)
{
    unsigned pages = slab_pages(slab->class);
    kpage_set_kind(&slab[0], KPAGE_RUN);
    kpage_set_kind(&slab[pages - 1], KPAGE_RUN);
    slab[0].count = slab[pages - 1].count = pages;
    kpages_free(kpage_address(slab), pages);
}

static void *slab_take(struct slab_class *c, struct kpage *slab) REQUIRES(&c->lock)
{
    unsigned class = slab->class, size = g_class_size[class];
    void *object = slab->freelist;
    if (object) {
        slab->freelist = *(void **)object;
        poison_check(object, size);
    } else {
        object = (char *)kpage_address(slab) + (size_t)slab->count++ * size;
    }
    if (slab == c->spare)
        c->spare = NULL;
    if (++slab->used == slab_capacity(class))
        list_del(&slab->link);
    return object;
}

static void *slab_alloc(unsigned class)
{
    struct slab_class *c = &g_classes[class];
    struct kpage *fresh = NULL;
    for (;;) {
        void *object = NULL;
        spin_lock(&c->lock);
        if (fresh)
            list_add(&c->partial, &fresh->link);
        if (!list_empty(&c->partial))
            object = slab_take(c, list_first(&c->partial, struct kpage, link));
        spin_unlock(&c->lock);
        if (object)
            return object;
        fresh = slab_create(class);
        if (!fresh)
            return NULL;
    }
}

static void slab_put(struct kpage *slab, void *object)
{
    unsigned class = slab->class;
    struct slab_class *c = &g_classes[class];
    struct kpage *empty = NULL;
    poison_set(object, g_class_size[class]);
    spin_lock(&c->lock);
    ASSERT(slab->used > 0);
    *(void **)object = slab->freelist;
    slab->freelist = object;
    if (slab->used-- == slab_capacity(class))
        list_add(&c->partial, &slab->link);
    if (slab->used == 0) {
        empty = c->spare;
        c->spare = slab;
        if (empty)
            list_del(&empty->link);
    }
    spin_unlock(&c->lock);
    if (empty)
        slab_destroy(empty);
}

void *kmalloc(size_t size)
{
    if (size <= SLAB_MAX)
        return slab_alloc(class_of(size));
    if (size > PTRDIFF_MAX)
        return NULL;
    return kpages_alloc_dirty(page_up(size) >> PAGE_SHIFT);
}

void *kzalloc(size_t size)
{
    if (size > SLAB_MAX)
        return size > PTRDIFF_MAX ? NULL : kpages_alloc(page_up(size) >> PAGE_SHIFT);
    void *p = kmalloc(size);
    if (p)
        memset(p, 0, size);
    return p;
}

void *kcalloc(size_t count, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(count, size, &total) ? NULL : kzalloc(total);
}

/* The descriptor that knows about an object: its run's or its slab's first page. */
static struct kpage *object_owner(const void *p)
{
    struct kpage *kp = kpage_of(p);
    ASSERT(kp);
    if (kp->kind == KPAGE_SLAB_TAIL)
        kp -= kp->count;
    ASSERT(kp->kind == KPAGE_SLAB || (kp->kind == KPAGE_RUN && p == kpage_address(kp)));
    return kp;
}

static size_t object_size(const struct kpage *owner)
{
    return owner->kind == KPAGE_SLAB ? g_class_size[owner->class]
                                     : (size_t)owner->count << PAGE_SHIFT;
}

void kfree(void *p)
{
    if (!p)
        return;
    struct kpage *owner = object_owner(p);
    if (owner->kind == KPAGE_SLAB)
        slab_put(owner, p);
    else
        kpages_free(p, owner->count);
}

void *krealloc(void *p, size_t size)
{
    if (!p)
        return kmalloc(size);
    size_t old = object_size(object_owner(p));
    if (size <= old && size > old / 2)
        return p;
    void *q = kmalloc(size);
    if (!q)
        return NULL;
    memcpy(q, p, min(old, size));
    kfree(p);
    return q;
}

char *kstrndup(const char *s, size_t max)
{
    size_t size = strnlen(s, max);
    char *p = kmalloc(size + 1);
    if (p) {
        memcpy(p, s, size);
        p[size] = 0;
    }
    return p;
}

char *kstrdup(const char *s)
{
    return kstrndup(s, strlen(s));
}
