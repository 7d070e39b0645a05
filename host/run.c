/* SPDX-License-Identifier: MIT */
/*
 * One run from start to end: device, image, measurement, signature, first thread, loop, report.
 *
 * Every failure ends in one line on stderr that says what to do, and HOST_EXIT_ERROR.
 */
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "boot.h"
#include "image.h"
#include "internal.h"
#include "layout.h"
#include "load.h"
#include "measure.h"
#include "sign.h"

#ifdef HOST_HOSTILE
#include "hostile.h"
#endif

#define WHY_SIZE 256

struct host_process *_Atomic g_host;

/* ---- Finding things ---------------------------------------------------------------------------------- */

static const struct sgx_device_ops *target_ops(enum host_target target)
{
    return target == HOST_TARGET_SGX ? &sgx_device_hw : &sgx_device_sim;
}

int host_target_usable(enum host_target target, char *buf, size_t size)
{
    struct sgx_device_config config = {0};
    struct sgx_device *dev;

    if (target == HOST_TARGET_AUTO)
        return host_target_usable(HOST_TARGET_SGX, buf, size) ||
               host_target_usable(HOST_TARGET_SIM, buf, size);
    if (size > 0)
        buf[0] = '\0';
    if (target_ops(target)->open(&config, &dev, buf, size) < 0)
        return 0;
    target_ops(target)->close(dev);
    return 1;
}

static int open_target(struct host_process *process, enum host_target target, char *why)
{
    struct sgx_device_config config = {.strict = process->run->strict};

    process->ops = target_ops(target);
    return process->ops->open(&config, &process->device, why, WHY_SIZE);
}

static int open_device(struct host_process *process)
{
    enum host_target target = process->run->target;
    char why[WHY_SIZE] = "";
    int ret;

    ret = open_target(process, target == HOST_TARGET_AUTO ? HOST_TARGET_SGX : target, why);
    if (ret < 0 && target == HOST_TARGET_AUTO) {
        char why_sim[WHY_SIZE] = "";

        ret = open_target(process, HOST_TARGET_SIM, why_sim);
        if (ret == 0)
            host_error("note: %s: running in the simulator, which protects nothing", why);
        else
            host_error("neither SGX (%s) nor the simulator (%s) can be used here", why, why_sim);
    } else if (ret < 0) {
        host_error("%s", why);
    }
    return ret;
}

/* The kernel image: as told, or in one of the places next to the executable. */
static int kernel_path(const struct host_run *run, char path[PATH_MAX])
{
    static const char *const places[] = {"adyton-kernel", "../libexec/adyton/adyton-kernel",
                                         "../target/sgx/adyton-kernel"};
    char exe[PATH_MAX];
    ssize_t n;

    if (run->kernel_path)
        return snprintf(path, PATH_MAX, "%s", run->kernel_path) < PATH_MAX ? 0 : -ENAMETOOLONG;
    n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n <= 0)
        return -ENOENT;
    exe[n] = '\0';
    *(strrchr(exe, '/') + 1) = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (snprintf(path, PATH_MAX, "%s%s", exe, places[i]) < PATH_MAX && access(path, R_OK) == 0)
            return 0;
    return -ENOENT;
}

static int build_image(const struct host_run *run, struct image *image)
{
    char why[WHY_SIZE] = "";
    char path[PATH_MAX];
    int ret;

    if (kernel_path(run, path) < 0) {
        host_error("the kernel image adyton-kernel is not where this program was installed");
        return -ENOENT;
    }
    ret = image_build(image, path, run->manifest, run->manifest_size, why, sizeof(why));
    if (ret < 0)
        host_error("%s", why);
    return ret;
}

/* ---- Loading ------------------------------------------------------------------------------------------- */

/* Measuring and signing take longer than adding the pages and need no device: their own thread. */
struct signing {
    const struct host_run *run;
    const struct image *image;
    const struct sgx_secs *secs;
    struct sgx_sigstruct sig __attribute__((aligned(4096)));
    int result;
};

static void *sign_image(void *argument)
{
    struct signing *s = argument;
    uint8_t mrenclave[32];
    char why[WHY_SIZE] = "";
    EVP_PKEY *key;

    s->result = measure_image(s->image, s->secs, mrenclave);
    if (s->result < 0) {
        host_error("cannot compute the measurement: error %d", -s->result);
        return NULL;
    }
    key = sign_development_key(why, sizeof(why));
    if (!key) {
        host_error("%s", why);
        s->result = -ENOENT;
        return NULL;
    }
    s->result = sign_sigstruct(&s->sig, key, s->secs, mrenclave, s->run->product_id,
                               s->run->security_version);
    EVP_PKEY_free(key);
    if (s->result < 0)
        host_error("cannot sign the enclave: error %d", -s->result);
    return NULL;
}

/* Starts sign_image() with all signals blocked; without a thread it is done here and now. */
static int sign_start(struct signing *s, pthread_t *thread)
{
    sigset_t all, old;
    int ret;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    ret = pthread_create(thread, NULL, sign_image, s);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (ret != 0)
        (void)sign_image(s);
    return ret;
}

static int load_image(struct host_process *process, const struct image *image)
{
    struct sgx_secs secs __attribute__((aligned(4096)));
    struct signing signing = {.run = process->run, .image = image, .secs = &secs};
    char why[WHY_SIZE] = "";
    pthread_t thread;
    int ret, no_thread;

    image_secs(&secs, process->run->debug);
    no_thread = sign_start(&signing, &thread);
    ret = load_pages(process->ops, process->device, image, &secs, why, sizeof(why));
    process->phase_ns[PHASE_LOADED] = host_now_ns(CLOCK_MONOTONIC);
    if (!no_thread)
        (void)pthread_join(thread, NULL);
    if (ret == 0) {
        if (signing.result < 0)
            return signing.result;
        ret = load_init(process->ops, process->device, image, &signing.sig, why, sizeof(why));
    }
    process->phase_ns[PHASE_MEASURED] = host_now_ns(CLOCK_MONOTONIC);
    if (ret < 0)
        host_error("%s", why);
    return ret;
}

static int load_enclave(struct host_process *process, uint64_t *tcs)
{
    struct image image;
    int ret;

    ret = build_image(process->run, &image);
    if (ret < 0)
        return ret;
    ret = load_image(process, &image);
    *tcs = image.tcs;
    image_free(&image);
    return ret;
}

/* ---- The first thread ------------------------------------------------------------------------------------ */

/* Runs the calling thread in the enclave. */
static int run_thread(struct host_process *process, uint64_t tcs)
{
    struct host_context *ctx = threads_add(process, 0, tcs);
    int ret;

    if (!ctx) {
        host_error("no memory or descriptors for the enclave's first thread");
        return -ENOMEM;
    }
    ret = process->ops->thread_start(process->device);
    if (ret == 0)
        ret = signals_thread_start(ctx);
    if (ret == 0)
        ret = signals_install(process);
    if (ret < 0)
        host_error("cannot prepare the enclave's first thread: %s", strerror(-ret));
    process->phase_ns[PHASE_ENTERED] = host_now_ns(CLOCK_MONOTONIC);
    boot_set_times(process);
    if (ret == 0)
        ret = loop_run(ctx);
    if (ret < 0)
        host_finish(process, HOST_EXIT_ERROR);
    threads_join(process);
#ifdef HOST_HOSTILE
    hostile_end();
#endif
    terminal_restore(process);
    signals_remove(process);
    signals_thread_stop(ctx);
    process->ops->thread_stop(process->device);
    stats_report(process);
    threads_free(process);
    return ret;
}

static struct host_process *process_new(const struct host_run *run)
{
    struct host_process *process = calloc(1, sizeof(*process));

    if (!process)
        return NULL;
    process->run = run;
    process->phase_ns[PHASE_START] = host_now_ns(CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&process->ioctl_lock, NULL);
    (void)pthread_mutex_init(&process->threads_lock, NULL);
    (void)pthread_mutex_init(&process->stats_lock, NULL);
    return process;
}

int host_run(const struct host_run *run)
{
    struct host_process *process;
    uint64_t tcs = 0;
    int status = HOST_EXIT_ERROR;
    int ret;

    if (host_init(NULL) < 0)
        return HOST_EXIT_ERROR;
    process = process_new(run);
    if (!process) {
        host_error("out of memory");
        return HOST_EXIT_ERROR;
    }
    ret = open_device(process);
    if (ret < 0)
        goto out;
    ret = boot_prepare(process);
    if (ret == 0)
        ret = load_enclave(process, &tcs);
    if (ret == 0)
        ret = run_thread(process, tcs);
    if (ret == 0)
        status = process->status;
    process->ops->close(process->device);
    boot_free(process);
out:
    free(process->stats);
    free(process);
    return status;
}

int host_measure(const struct host_run *run, struct host_measurement *out)
{
    struct sgx_secs secs;
    struct image image;
    struct signing signing = {.run = run, .image = &image, .secs = &secs};
    int ret;

    ret = build_image(run, &image);
    if (ret < 0)
        return ret;
    image_secs(&secs, run->debug);
    (void)sign_image(&signing);
    ret = signing.result;
    if (ret == 0)
        ret = sign_mrsigner(&signing.sig, out->mrsigner);
    if (ret == 0) {
        memcpy(out->mrenclave, signing.sig.enclave_hash, sizeof(out->mrenclave));
        out->pages_added = out->pages_measured = image.page_count;
        out->image_size = image.page_count * ENCLAVE_PAGE_SIZE;
        out->manifest_size = run->manifest_size;
    }
    image_free(&image);
    return ret;
}
