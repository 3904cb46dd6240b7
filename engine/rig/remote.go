package rig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/remote"
	"jouletop/engine/serverword"
	"jouletop/engine/session"
	"jouletop/engine/usage"
	"jouletop/gpu/simgpu"
)

// Server says how to treat a server.
type Server struct {
	PromptCache string // what to do about its prompt cache: unlike or keep
	// Request is the longest that one request may take, Stall that nothing may come
	// in it, LoadTime that loading the model may take.
	Request, Stall, LoadTime time.Duration
	// Telemetry is where the server tells of itself while it serves: auto, off, the address
	// of its /metrics, or a file of vLLM's log or Dynamo's metrics; several by commas.
	Telemetry string
}

// The ways with a server's prompt cache.
const (
	CacheUnlike = "unlike"
	cacheKeep   = "keep"
)

// Check finds what is wrong with the flags taken alone.
func (o *Server) Check(url string) error {
	if o.PromptCache != CacheUnlike && o.PromptCache != cacheKeep {
		return usage.Errorf("--prompt-cache %q: want unlike or keep", o.PromptCache)
	}
	if o.PromptCache == cacheKeep && url == "" {
		return usage.Errorf("--prompt-cache keep goes with --url: nothing else has a prompt cache")
	}
	switch t := o.Telemetry; {
	case t == "" || t == TelemetryAuto || url != "":
	default:
		return usage.Errorf("--server-telemetry %s goes with --url", t)
	}
	if _, err := o.telemetry(); err != nil {
		return err
	}
	for name, d := range map[string]time.Duration{"request": o.Request, "stall": o.Stall, "load": o.LoadTime} {
		if d <= 0 {
			return usage.Errorf("--%s-timeout %v: want a time above 0, such as 2m", name, d)
		}
	}
	return nil
}

// remoteBackend opens a server; what its figures lack is told as warnings.
func remoteBackend(o *Config, r *Rig) (*remote.Backend, error) {
	seed := rand.Uint64() >> 11 // fits a float64; another for each session: the server may remember the last
	b, err := remote.New(remote.Options{
		URL: o.URL, Timeout: o.Server.Request, Stall: o.Server.Stall, LoadWait: o.Server.LoadTime,
		KeepCache: o.Server.PromptCache == cacheKeep, NonceSeed: seed, Warn: r.notifyEarly,
	})
	if err != nil {
		return nil, usage.Wrap(err)
	}
	r.promptCache = &session.PromptCache{Mode: o.Server.PromptCache}
	if o.Server.PromptCache == CacheUnlike {
		r.promptCache.Note, r.promptCache.NonceSeeds = remote.NonceText, []uint64{seed}
	}
	return b, nil
}

// notifyEarly is notify that does not wait for a session to begin.
func (r *Rig) notifyEarly(text string) {
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
		return "", usage.Errorf("--url %s: it lists no models; give --model", url)
	}
	return "", usage.Errorf("--url %s: it serves %s; give --model", url, some(names))
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
func serverLoad(sims simgpu.Joined) func(event.Phase) {
	return func(p event.Phase) {
		if p == event.Idle {
			sims.SetLoad(0, 0)
			return
		}
		sims.SetLoad(0.014, 0.56)
	}
}

// NotePromptCache keeps in the manifest what was done about a server's prompt
// cache. A session that goes on must go on so.
func (r *Rig) NotePromptCache(rec *session.Recorder) error {
	if r.promptCache == nil {
		return nil
	}
	var mismatch error
	err := rec.Update(func(m *session.Manifest) {
		switch {
		case m.PromptCache == nil:
			m.PromptCache = r.promptCache
		case m.PromptCache.Mode != r.promptCache.Mode:
			mismatch = usage.Errorf("--prompt-cache %s: the session was begun with %s", r.promptCache.Mode, m.PromptCache.Mode)
		default:
			m.PromptCache.NonceSeeds = append(m.PromptCache.NonceSeeds, r.promptCache.NonceSeeds...)
		}
	})
	return errors.Join(err, mismatch)
}

// BackendNotes are what the backend's figures hold that one might not expect.
func (r *Rig) BackendNotes() []string {
	if r.Backend == nil || r.Backend.Name() != "remote" {
		return nil
	}
	return []string{"on a server a prefill ends with the first token, unless the server tells its own times: the time that a request waits there is in it"}
}

// RefuseOverlap refuses clocks by phase where requests are in different phases
// at once.
func (r *Rig) RefuseOverlap(spec string, batches []int) error {
	if r.Backend == nil || r.Backend.Name() != "remote" || !event.PolicyOf(spec).Switches() {
		return nil
	}
	for _, b := range batches {
		if b > 1 {
			return usage.Errorf("--policy %s: with %d requests at once on a server their phases overlap; use --batch 1 or a fixed clock", spec, b)
		}
	}
	return nil
}

// Values of --server-telemetry beside addresses and files.
const (
	TelemetryAuto = "auto"
	telemetryOff  = "off"
)

// telemetry reads --server-telemetry.
func (o *Server) telemetry() (t struct {
	auto          bool
	address, file string
}, err error) {
	for part := range strings.SplitSeq(cmp.Or(o.Telemetry, TelemetryAuto), ",") {
		u, parsed := url.Parse(part)
		switch {
		case part == telemetryOff && part == o.Telemetry:
			return t, nil
		case part == TelemetryAuto && !t.auto && t.address == "":
			t.auto = true
		case parsed == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && !t.auto && t.address == "":
			u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/metrics")
			u.RawQuery, u.Fragment = "", ""
			t.address = u.String()
		case parsed == nil && u.Scheme == "" && part != telemetryOff && part != "" && t.file == "":
			t.file = part
		default:
			return t, usage.Errorf("--server-telemetry %q: want auto, off, http://HOST/metrics or a file (a log of vLLM, Dynamo's metrics as JSON lines), one of a kind, by commas", o.Telemetry)
		}
	}
	return t, nil
}

// WatchServer begins to read what the server tells of itself; it does so until the rig is
// closed. It is for runs that serve.
func (r *Rig) WatchServer(o *Config) error {
	b, ok := r.Backend.(*remote.Backend)
	t, err := o.Server.telemetry()
	if err != nil || !ok || r.telemetry != nil {
		return err
	}
	opt := serverword.Options{File: t.file, Clock: r.Clock, Optional: t.auto && t.file == ""}
	switch {
	case t.address != "":
		opt.Page = serverword.PageOf(&http.Client{}, t.address)
	case t.auto:
		opt.Page, opt.Optional = b.Page, true
	}
	if opt.Page == nil && opt.File == "" {
		return nil
	}
	w, err := serverword.Open(opt)
	if err != nil {
		return fmt.Errorf("--server-telemetry %s: %w", o.Server.Telemetry, err)
	}
	r.telemetry = w
	return nil
}

// Telemetry is what the server tells of itself; nil where nobody reads it.
func (r *Rig) Telemetry() engine.Telemetry {
	if r.telemetry == nil {
		return nil
	}
	return r.telemetry
}
