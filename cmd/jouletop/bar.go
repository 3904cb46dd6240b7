package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// bar is a progress bar on a terminal, nothing elsewhere.
type bar struct {
	out      *os.File
	what     string
	terminal bool
	shown    int
}

func newBar(out *os.File, what string) *bar {
	return &bar{out: out, what: what, terminal: term.IsTerminal(int(out.Fd())), shown: -1}
}

// set shows a share from 0 to 1.
func (b *bar) set(share float64) {
	pct := int(100 * min(max(share, 0), 1))
	if !b.terminal || pct == b.shown {
		return
	}
	b.shown = pct
	fmt.Fprintf(b.out, "\r%s %s %3d %%\x1b[K", b.what, strings.Repeat("█", pct/5)+strings.Repeat("░", 20-pct/5), pct)
}

func (b *bar) done() {
	if b.terminal {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}

// count shows done of total.
func (b *bar) count(done, total int64) { b.set(float64(done) / float64(max(total, 1))) }
