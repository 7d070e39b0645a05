/* SPDX-License-Identifier: MIT */
/*
 * EREPORT and EGETKEY. Source: Intel SDM vol. 3D, Operation of both and the key dependencies table.
 *
 * Every key is AES-CMAC under one simulated fuse key over the dependencies that the SDM names for it.
 * The fuse key is public: nothing sealed or reported here is secret or proof of anything. May use
 * vector registers; enclave memory is copied in and out under the device lock, computing goes without.
 */
#include "internal.h"

#include <openssl/evp.h>
#include <string.h>

#define REQUIRED_SEAL_FLAGS (SGX_ATTR_INIT | SGX_ATTR_DEBUG)
#define KEYPOLICY_KNOWN     (SGX_KEYPOLICY_MRENCLAVE | SGX_KEYPOLICY_MRSIGNER | SGX_KEYPOLICY_KSS)

static const uint8_t g_fuse_key[SGX_KEY_SIZE] = "adyton-sim-fuse";
static const uint8_t g_cpu_svn[16] = {1, 1, 2, 2, 0, 1};
static const uint8_t g_report_key_id[32] = "simulated report key id";

/* The SDM's KEYDEPENDENCIES; what a key does not depend on is zero. */
struct key_dependencies {
    uint16_t key_name;
    uint16_t isv_prod_id;
    uint16_t isv_svn;
    uint16_t config_svn;
    uint32_t misc_select;
    uint32_t misc_mask;
    uint8_t isv_family_id[16];
    uint8_t isv_ext_prod_id[16];
    uint8_t cpu_svn[16];
    struct sgx_attributes attributes;
    struct sgx_attributes attribute_mask;
    uint8_t mrenclave[32];
    uint8_t mrsigner[32];
    uint8_t key_id[32];
    uint8_t config_id[64];
    uint16_t key_policy;
    uint8_t zero[6];
};
SGX_SIZE_IS(struct key_dependencies, 264);

static int cmac(const uint8_t key[SGX_KEY_SIZE], const void *data, size_t size, uint8_t out[16])
{
    size_t done = 0;

    return EVP_Q_mac(NULL, "CMAC", NULL, "AES-128-CBC", NULL, key, SGX_KEY_SIZE, data, size, out, 16,
                     &done) != NULL &&
                   done == 16
               ? 0
               : -1;
}

static struct sim_fault operand_check(struct sim_thread *t, uint64_t addr, uint64_t align,
                                      uint32_t want)
{
    struct sim_fault fault;

    if ((addr & (align - 1)) != 0 || !sim_in_range(t->dev, addr)) {
        return sim_gp();
    }
    sim_lock(t->dev);
    fault = sim_operand(t, addr, want);
    sim_unlock(t->dev);
    return fault;
}

/* Operands never cross a page: their alignment is at least their size, but REPORTDATA's half. */
static struct sim_fault operand_read(struct sim_thread *t, uint64_t addr, uint64_t align, void *out,
                                     size_t size)
{
    struct sim_fault fault = operand_check(t, addr, align, EPCM_R);

    if (fault.vector == SIM_OK && sim_copy(out, (const void *)addr, size) != 0) {
        return sim_pf(addr, SGX_PF_U);
    }
    return fault;
}

static struct sim_fault operand_write(struct sim_thread *t, uint64_t addr, const void *src,
                                      size_t size)
{
    struct sim_fault fault = operand_check(t, addr, 1, EPCM_R | EPCM_W);

    if (fault.vector == SIM_OK && sim_copy((void *)addr, src, size) != 0) {
        return sim_pf(addr, SGX_PF_U | SGX_PF_W);
    }
    return fault;
}

static int report_key(const struct sgx_targetinfo *target, const uint8_t key_id[32],
                      uint8_t out[SGX_KEY_SIZE])
{
    struct key_dependencies deps = {.key_name = SGX_KEY_REPORT,
                                    .config_svn = target->config_svn,
                                    .misc_select = target->misc_select,
                                    .attributes = target->attributes};

    memcpy(deps.cpu_svn, g_cpu_svn, sizeof(deps.cpu_svn));
    memcpy(deps.mrenclave, target->measurement, sizeof(deps.mrenclave));
    memcpy(deps.config_id, target->config_id, sizeof(deps.config_id));
    memcpy(deps.key_id, key_id, sizeof(deps.key_id));
    return cmac(g_fuse_key, &deps, sizeof(deps), out);
}

static void report_fill(const struct sgx_device *dev, const struct sgx_report_data *data,
                        struct sgx_report *report)
{
    const struct sgx_secs *secs = &dev->secs;

    memset(report, 0, sizeof(*report));
    memcpy(report->cpu_svn, g_cpu_svn, sizeof(report->cpu_svn));
    report->misc_select = secs->misc_select;
    report->attributes = secs->attributes;
    memcpy(report->isv_ext_prod_id, dev->isv_ext_prod_id, sizeof(report->isv_ext_prod_id));
    memcpy(report->isv_family_id, dev->isv_family_id, sizeof(report->isv_family_id));
    memcpy(report->mrenclave, secs->mrenclave, sizeof(report->mrenclave));
    memcpy(report->mrsigner, secs->mrsigner, sizeof(report->mrsigner));
    memcpy(report->config_id, secs->config_id, sizeof(report->config_id));
    report->config_svn = secs->config_svn;
    report->isv_prod_id = secs->isv_prod_id;
    report->isv_svn = secs->isv_svn;
    report->report_data = *data;
    memcpy(report->key_id, g_report_key_id, sizeof(report->key_id));
}

struct sim_fault sim_ereport(struct sim_thread *t, struct sim_regs *r)
{
    struct sgx_targetinfo target;
    struct sgx_report_data data;
    struct sgx_report report;
    uint8_t key[SGX_KEY_SIZE];
    struct sim_fault fault = operand_read(t, r->rbx, 512, &target, sizeof(target));

    if (fault.vector == SIM_OK) {
        fault = operand_read(t, r->rcx, 128, &data, sizeof(data));
    }
    if (fault.vector == SIM_OK) {
        fault = operand_check(t, r->rdx, 512, EPCM_R | EPCM_W);
    }
    if (fault.vector != SIM_OK) {
        return fault;
    }
    if (target.reserved1 != 0 || target.cet_attributes != 0 ||
        !sim_bytes_all_zero(target.reserved2, sizeof(target.reserved2)) ||
        !sim_bytes_all_zero(target.reserved3, sizeof(target.reserved3))) {
        return sim_gp();
    }
    report_fill(t->dev, &data, &report);
    if (report_key(&target, report.key_id, key) != 0 ||
        cmac(key, &report, SGX_REPORT_MAC_SIZE, report.mac) != 0) {
        return sim_gp();
    }
    fault = operand_write(t, r->rdx, &report, sizeof(report));
    if (fault.vector == SIM_OK) {
        t->cnt.ereport++;
    }
    return fault;
}

static bool svn_allowed(const uint8_t wanted[16])
{
    for (size_t i = 0; i < sizeof(g_cpu_svn); i++) {
        if (wanted[i] > g_cpu_svn[i]) {
            return false;
        }
    }
    return true;
}

/* What a sealing or provisioning key takes from the SECS under the request's masks. */
static void masked_dependencies(const struct sgx_device *dev, const struct sgx_keyrequest *req,
                                struct key_dependencies *deps)
{
    const struct sgx_secs *secs = &dev->secs;

    deps->isv_svn = req->isv_svn;
    deps->misc_mask = req->misc_mask;
    deps->misc_select = secs->misc_select & req->misc_mask;
    deps->attribute_mask = req->attribute_mask;
    deps->attributes.flags =
        secs->attributes.flags & (req->attribute_mask.flags | REQUIRED_SEAL_FLAGS);
    deps->attributes.xfrm = secs->attributes.xfrm & req->attribute_mask.xfrm;
    memcpy(deps->cpu_svn, req->cpu_svn, sizeof(deps->cpu_svn));
    memcpy(deps->key_id, req->key_id, sizeof(deps->key_id));
}

static void seal_dependencies(const struct sgx_device *dev, const struct sgx_keyrequest *req,
                              struct key_dependencies *deps)
{
    const struct sgx_secs *secs = &dev->secs;

    masked_dependencies(dev, req, deps);
    deps->key_policy = req->key_policy;
    if ((req->key_policy & SGX_KEYPOLICY_MRENCLAVE) != 0) {
        memcpy(deps->mrenclave, secs->mrenclave, sizeof(deps->mrenclave));
    }
    if ((req->key_policy & SGX_KEYPOLICY_MRSIGNER) != 0) {
        memcpy(deps->mrsigner, secs->mrsigner, sizeof(deps->mrsigner));
    }
    if ((req->key_policy & SGX_KEYPOLICY_NOISVPRODID) == 0) {
        deps->isv_prod_id = secs->isv_prod_id;
    }
    if ((req->key_policy & SGX_KEYPOLICY_CONFIGID) != 0) {
        memcpy(deps->config_id, secs->config_id, sizeof(deps->config_id));
        deps->config_svn = req->config_svn;
    }
    if ((req->key_policy & SGX_KEYPOLICY_ISVFAMILYID) != 0) {
        memcpy(deps->isv_family_id, dev->isv_family_id, sizeof(deps->isv_family_id));
    }
    if ((req->key_policy & SGX_KEYPOLICY_ISVEXTPRODID) != 0) {
        memcpy(deps->isv_ext_prod_id, dev->isv_ext_prod_id, sizeof(deps->isv_ext_prod_id));
    }
}

static void report_key_dependencies(const struct sgx_device *dev, const struct sgx_keyrequest *req,
                                    struct key_dependencies *deps)
{
    const struct sgx_secs *secs = &dev->secs;

    deps->config_svn = secs->config_svn;
    deps->misc_select = secs->misc_select;
    deps->attributes = secs->attributes;
    memcpy(deps->cpu_svn, g_cpu_svn, sizeof(deps->cpu_svn));
    memcpy(deps->mrenclave, secs->mrenclave, sizeof(deps->mrenclave));
    memcpy(deps->config_id, secs->config_id, sizeof(deps->config_id));
    memcpy(deps->key_id, req->key_id, sizeof(deps->key_id));
}

static int svn_check(const struct sgx_device *dev, const struct sgx_keyrequest *req)
{
    if (!svn_allowed(req->cpu_svn)) {
        return SGX_INVALID_CPUSVN;
    }
    if (req->isv_svn > dev->secs.isv_svn ||
        ((req->key_policy & SGX_KEYPOLICY_CONFIGID) != 0 &&
         req->config_svn > dev->secs.config_svn)) {
        return SGX_INVALID_ISVSVN;
    }
    return SGX_SUCCESS;
}

/* An enum sgx_error; on success *deps is complete. */
static int key_select(const struct sgx_device *dev, const struct sgx_keyrequest *req,
                      struct key_dependencies *deps)
{
    uint64_t needs = 0;
    int ret;

    memset(deps, 0, sizeof(*deps));
    deps->key_name = req->key_name;
    switch (req->key_name) {
    case SGX_KEY_REPORT:
        report_key_dependencies(dev, req, deps);
        return SGX_SUCCESS;
    case SGX_KEY_SEAL:
        ret = svn_check(dev, req);
        seal_dependencies(dev, req, deps);
        return ret;
    case SGX_KEY_EINITTOKEN:
        needs = SGX_ATTR_EINITTOKENKEY;
        break;
    case SGX_KEY_PROVISION:
    case SGX_KEY_PROVISION_SEAL:
        needs = SGX_ATTR_PROVISIONKEY;
        break;
    default:
        return SGX_INVALID_KEYNAME;
    }
    if ((dev->secs.attributes.flags & needs) == 0) {
        return SGX_INVALID_ATTRIBUTE;
    }
    ret = svn_check(dev, req);
    masked_dependencies(dev, req, deps);
    memcpy(deps->mrsigner, dev->secs.mrsigner, sizeof(deps->mrsigner));
    deps->isv_prod_id = dev->secs.isv_prod_id;
    return ret;
}

static bool request_legal(const struct sgx_device *dev, const struct sgx_keyrequest *req)
{
    bool kss = (dev->secs.attributes.flags & SGX_ATTR_KSS) != 0;

    return req->reserved1 == 0 && sim_bytes_all_zero(req->reserved2, sizeof(req->reserved2)) &&
           (req->key_policy & ~KEYPOLICY_KNOWN) == 0 &&
           (kss || ((req->key_policy & SGX_KEYPOLICY_KSS) == 0 && req->config_svn == 0));
}

struct sim_fault sim_egetkey(struct sim_thread *t, struct sim_regs *r)
{
    struct key_dependencies deps;
    struct sgx_keyrequest req;
    uint8_t key[SGX_KEY_SIZE];
    struct sim_fault fault = operand_read(t, r->rbx, 512, &req, sizeof(req));
    int error;

    if (fault.vector == SIM_OK) {
        fault = operand_check(t, r->rcx, 16, EPCM_R | EPCM_W);
    }
    if (fault.vector != SIM_OK) {
        return fault;
    }
    if (!request_legal(t->dev, &req)) {
        return sim_gp();
    }
    error = key_select(t->dev, &req, &deps);
    if (error == SGX_SUCCESS) {
        if (cmac(g_fuse_key, &deps, sizeof(deps), key) != 0) {
            return sim_gp();
        }
        fault = operand_write(t, r->rcx, key, sizeof(key));
        if (fault.vector != SIM_OK) {
            return fault;
        }
    }
    sim_set_result(r, error);
    t->cnt.egetkey++;
    return sim_ok();
}
