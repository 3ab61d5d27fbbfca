// SPDX-License-Identifier: Apache-2.0
// The one program.
#include "drawbridge/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
