package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"jouletop/engine/event"
	"jouletop/engine/remote"
	"jouletop/engine/session"
)

// serverOptions are the flags that go with --url.
type serverOptions struct {
	promptCache                 string
	request, stall, loadingTime time.Duration
}

func (o *serverOptions) add(f *pflag.FlagSet) {
	f.StringVar(&o.promptCache, "prompt-cache", cacheUnlike, "a server's prompt cache: unlike (each prompt begins with a line of its own, so that it is computed) or keep (leave it to the server)")
	f.DurationVar(&o.request, "request-timeout", 10*time.Minute, "longest that a server may take for one request")
	f.DurationVar(&o.stall, "stall-timeout", 2*time.Minute, "longest that a server may send nothing in a request")
	f.DurationVar(&o.loadingTime, "load-timeout", 10*time.Minute, "longest that a server may take to load its model")
}

// The ways with a server's prompt cache.
const (
	cacheUnlike = "unlike"
	cacheKeep   = "keep"
)

// check finds what is wrong with the flags taken alone.
func (o *serverOptions) check(url string) error {
	if o.promptCache != cacheUnlike && o.promptCache != cacheKeep {
		return usagef("--prompt-cache %q: want unlike or keep", o.promptCache)
	}
	if o.promptCache == cacheKeep && url == "" {
		return usagef("--prompt-cache keep goes with --url: nothing else has a prompt cache")
	}
	for name, d := range map[string]time.Duration{"request": o.request, "stall": o.stall, "load": o.loadingTime} {
		if d <= 0 {
			return usagef("--%s-timeout %v: want a time above 0, such as 2m", name, d)
		}
	}
	return nil
}

// newRemote opens a server; what its figures lack is told as warnings.
func newRemote(o *options, r *rig) (*remote.Backend, error) {
	seed := rand.Uint64() >> 11 // fits a float64; another for each session: the server may remember the last
	b, err := remote.New(remote.Options{
		URL: o.url, Timeout: o.server.request, Stall: o.server.stall, LoadWait: o.server.loadingTime,
		KeepCache: o.server.promptCache == cacheKeep, NonceSeed: seed, Warn: r.notifyEarly,
	})
	if err != nil {
		return nil, usageError{err}
	}
	r.promptCache = &session.PromptCache{Mode: o.server.promptCache}
	if o.server.promptCache == cacheUnlike {
		r.promptCache.Note, r.promptCache.NonceSeeds = remote.NonceText, []uint64{seed}
	}
	return b, nil
}

// notifyEarly is notify that does not wait for a session to begin.
func (r *rig) notifyEarly(text string) {
	if r.heard.Load() == nil {
		fmt.Fprintln(os.Stderr, "jouletop:", text)
		return
	}
	r.notify(text)
}

// onlyModel asks a server for the model that it serves, where none is named.
func onlyModel(ctx context.Context, b *remote.Backend, url string) (string, error) {
	names, err := b.Served(ctx)
	switch {
	case errors.Is(err, remote.ErrNoList):
		return "", fmt.Errorf("--url %s: %w; give --model", url, err)
	case err != nil:
		return "", fmt.Errorf("--url %s: %w", url, err)
	case len(names) == 1 && !strings.Contains(names[0], "*"):
		return names[0], nil
	case len(names) == 0:
		return "", usagef("--url %s: it lists no models; give --model", url)
	}
	return "", usagef("--url %s: it serves %s; give --model", url, some(names))
}

// some lists names, but not hundreds.
func some(names []string) string {
	const most = 12
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// serverLoad tells a simulated GPU that it works for a server: as in a decode,
// whatever the phase, for what a server does at a moment is known afterwards, if
// at all.
func (r *rig) serverLoad(p event.Phase) {
	if p == event.Idle {
		r.simGPU.SetLoad(0, 0)
		return
	}
	r.simGPU.SetLoad(0.014, 0.56)
}

// notePromptCache keeps in the manifest what was done about a server's prompt
// cache. A session that goes on must go on so.
func (r *rig) notePromptCache(rec *session.Recorder) error {
	if r.promptCache == nil {
		return nil
	}
	var mismatch error
	err := rec.Update(func(m *session.Manifest) {
		switch {
		case m.PromptCache == nil:
			m.PromptCache = r.promptCache
		case m.PromptCache.Mode != r.promptCache.Mode:
			mismatch = usagef("--prompt-cache %s: the session was begun with %s", r.promptCache.Mode, m.PromptCache.Mode)
		default:
			m.PromptCache.NonceSeeds = append(m.PromptCache.NonceSeeds, r.promptCache.NonceSeeds...)
		}
	})
	return errors.Join(err, mismatch)
}

// backendNotes are what the backend's figures hold that one might not expect.
func (r *rig) backendNotes() []string {
	if r.backend == nil || r.backend.Name() != "remote" {
		return nil
	}
	return []string{"on a server a prefill ends with the first token, unless the server tells its own times: the time that a request waits there is in it"}
}

// refuseOverlap refuses clocks by phase where requests are in different phases
// at once.
func (o *options) refuseOverlap(r *rig, spec string) error {
	if r.backend == nil || r.backend.Name() != "remote" || !strings.HasPrefix(spec, "phase:") {
		return nil
	}
	for _, b := range o.batches {
		if b > 1 {
			return usagef("--policy %s: with %d requests at once on a server their phases overlap; use --batch 1 or a fixed clock", spec, b)
		}
	}
	return nil
}
