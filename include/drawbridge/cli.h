// SPDX-License-Identifier: Apache-2.0
// cli: verbs, arguments, output.
//
// Purpose   what a person types and reads
// May use   all
// Never     decides anything about a cluster
// Limits    CLI_FILE_BYTES_MAX for a file that is given
// Blocking  yes: it is the outermost layer
#pragma once

#include "drawbridge/base.h"

#define CLI_OK 0
#define CLI_DIFFERS 1 // also: what was asked is not so
#define CLI_USAGE 2
#define CLI_REFUSED 3 // the configuration or the request, by us or by the API server
#define CLI_ERROR 4

// The whole program: argv as main() gets it; returns the exit code.
int cli_main(int argc, char **argv);
