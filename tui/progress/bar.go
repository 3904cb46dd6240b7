package progress

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// Bar is a progress bar on a terminal, nothing elsewhere.
type Bar struct {
	out      *os.File
	what     string
	terminal bool
	shown    int
}

// NewBar returns a bar on out, headed by what.
func NewBar(out *os.File, what string) *Bar {
	return &Bar{out: out, what: what, terminal: term.IsTerminal(int(out.Fd())), shown: -1}
}

// Set shows a share from 0 to 1.
func (b *Bar) Set(share float64) {
	pct := int(100 * min(max(share, 0), 1))
	if !b.terminal || pct == b.shown {
		return
	}
	b.shown = pct
	fmt.Fprintf(b.out, "\r%s %s %3d %%\x1b[K", b.what, strings.Repeat("█", pct/5)+strings.Repeat("░", 20-pct/5), pct)
}

// Done takes the bar off the terminal.
func (b *Bar) Done() {
	if b.terminal {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}

// Count shows done of total.
func (b *Bar) Count(done, total int64) { b.Set(float64(done) / float64(max(total, 1))) }
