// SPDX-License-Identifier: Apache-2.0
// Digests name a state (a revision, a file's bytes). The hash is OpenSSL's; none of ours.

#include <openssl/evp.h>

#include "doc_internal.h"

const char *doc_digest(struct slice bytes, char *ret)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    int ok =
        EVP_Digest(bytes.len == 0 ? "" : bytes.ptr, bytes.len, digest, &len, EVP_sha256(), NULL);
    ASSERT(ok == 1);
    ASSERT(len * 2 + 1 == DOC_DIGEST_BYTES);
    for (size_t i = 0; i < len; i++) {
        ret[2 * i] = hex[digest[i] >> 4];
        ret[2 * i + 1] = hex[digest[i] & 15];
    }
    ret[(size_t)len * 2] = '\0';
    return ret;
}

const char *doc_digest_tree(const json_t *tree, char *ret)
{
    AUTO_MEM char *text = doc_print_json_sorted(tree);
    return doc_digest(slice_of(text), ret);
}
