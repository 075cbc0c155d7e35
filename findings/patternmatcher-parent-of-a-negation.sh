#!/usr/bin/env bash
# In a .dockerignore, "! ../../***" leaves everything out.
#
# github.com/moby/patternmatcher v0.6.1 (what Docker and BuildKit read .dockerignore with): the negation "! ../../***",
# which names something outside of the context, acts as the positive pattern "***", which matches every path. The
# pattern is cleaned with its mark, "!../../***": filepath.Clean takes "!.." for a folder's name, which the next ".."
# takes away. "!../x" alone stays a negation.
set -euo pipefail
# shellcheck source=findings/lib/tools.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/tools.sh"

mkdir matcher
cat >matcher/go.mod <<'MOD'
module findings/matcher

go 1.25

require github.com/moby/patternmatcher v0.6.1
MOD
cat >matcher/main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

func main() {
	for _, file := range os.Args[1:] {
		patterns, err := ignorefile.ReadAll(strings.NewReader(file))
		if err != nil {
			panic(err)
		}
		matcher, err := patternmatcher.New(patterns)
		if err != nil {
			panic(err)
		}
		ignored, err := matcher.MatchesOrParentMatches("src/main.go")
		fmt.Printf("%q: patterns %q, src/main.go is left out: %v %v\n", file, patterns, ignored, err)
	}
}
GO
(cd matcher && GOFLAGS=-mod=mod go build -o ../bin/matcher .)
output=$(matcher '! ../../***' '! ../x' '***')
printf '%s\n' "$output"
expect "$output" '"! ../../***": patterns ["!../../***"], src/main.go is left out: true'
expect "$output" '"! ../x": patterns ["!../x"], src/main.go is left out: false'
