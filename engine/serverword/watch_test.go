package serverword

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jouletop/gpu/timebase"
)

// said is a server's pages, which a test changes.
type said struct {
	metrics, slots, date atomic.Value // string; "" is 404
	asked                atomic.Int64 // for slots
}

func (s *said) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	page := &s.metrics
	if r.URL.Path == "/slots" {
		page = &s.slots
		s.asked.Add(1)
	}
	if date, _ := s.date.Load().(string); date != "" {
		w.Header().Set("Date", date)
	}
	text, _ := page.Load().(string)
	if text == "" {
		http.NotFound(w, r)
		return
	}
	_, _ = fmt.Fprint(w, text)
}

func watch(t *testing.T, s *said, file string) *Watch {
	t.Helper()
	opt := Options{File: file, Clock: timebase.Monotonic(), Optional: true} // it looks when told to, until then
	if s != nil {
		srv := httptest.NewServer(s)
		t.Cleanup(srv.Close)
		opt.Page = PageOf(srv.Client(), srv.URL)
	}
	w, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func page(read, made, passes float64) string {
	return fmt.Sprintf("llamacpp:prompt_tokens_total %g\nllamacpp:tokens_predicted_total %g\nllamacpp:n_decode_total %g\nllamacpp:requests_processing 2\nllamacpp:requests_deferred 1\n", read, made, passes)
}

// A server is looked at; that it starts again, lies, talks nonsense or falls silent is
// counted.
func TestWatchPages(t *testing.T) {
	s := &said{}
	s.metrics.Store(page(10, 20, 5))
	s.slots.Store(`[{"id":0,"is_processing":true},{"id":1,"is_processing":false}]`)
	w := watch(t, s, "")
	look := func(want error) {
		t.Helper()
		if err := w.Look(t.Context()); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
	look(nil)
	look(nil)
	r := w.Take().Readings
	if len(r) < 2 || r[0].Read != 10 || r[0].Running != 2 || r[0].Waiting != 1 || r[0].All != 2 || r[0].Busy != 1 || r[1].TimeNS < r[1].AskedNS || r[1].AskedNS < r[0].TimeNS {
		t.Fatalf("%+v", r)
	}
	s.metrics.Store(page(3, 4, 2)) // it was started again
	look(nil)
	s.metrics.Store(page(-3, 1e300, 9))
	look(nil)
	s.metrics.Store("llamacpp:prompt_tokens_total{ what")
	look(nil) // the slots are still good
	s.metrics.Store("")
	look(nil)
	s.slots.Store("[]")
	for range silence {
		look(ErrNothing)
	}
	word := w.Word()
	if word.Restarts < 1 || word.Impossible != 2 || word.Malformed < 2 || word.Failed != silence || !word.Stopped || word.Slots != 2 || len(word.Kinds) != 1 || word.Kinds[0] != string(LlamaServer) || word.Looks < 10 {
		t.Errorf("%+v", word)
	}
}

// Where there is nothing, nothing is told, and a server without slots is not asked for
// them for ever.
func TestWatchNothing(t *testing.T) {
	s := &said{}
	w := watch(t, s, "")
	for range 3 {
		if err := w.Look(t.Context()); !errors.Is(err, ErrNothing) || len(w.Take().Readings) > 0 || len(w.Word().Kinds) > 0 {
			t.Errorf("%v, %+v", err, w.Word())
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("asked %d times for slots", n)
	}
	if _, err := Open(Options{File: filepath.Join(t.TempDir(), "none"), Clock: timebase.Monotonic()}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// The Date headers of its pages tell how its clock goes.
func TestWatchSkew(t *testing.T) {
	s := &said{}
	s.metrics.Store(page(1, 1, 1))
	s.date.Store(time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
	w := watch(t, s, "")
	if err := w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if word := w.Word(); word.SkewS < 3598 || word.SkewS > 3602 || word.SkewMostS > 1.5 {
		t.Errorf("%g ± %g", word.SkewS, word.SkewMostS)
	}
}

// A log is followed from its end on: records that are missing, malformed, too long or
// counted anew are counted, and another file in its place is read from its beginning.
func TestWatchFile(t *testing.T) {
	line := func(n int) string {
		return fmt.Sprintf("INFO Iteration(%d): 1 context requests, 30 context tokens, 2 generation requests, 2 generation tokens, iteration elapsed time: 8.00 ms\n", n)
	}
	file := filepath.Join(t.TempDir(), "vllm.log")
	write := func(how int, text string) {
		t.Helper()
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|how, 0o644)
		if err == nil {
			_, err = f.WriteString(text)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(0, line(1)+line(2))
	w := watch(t, nil, file)
	var got []Pass
	until := func(records int) {
		t.Helper()
		for range 500 {
			if w.Word().Records+w.Word().Malformed >= records {
				got = append(got, w.Take().Passes...)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%+v, want %d", w.Word(), records)
	}
	time.Sleep(3 * tailEvery) // it is at the end
	write(os.O_APPEND, line(3)+"INFO GET /metrics\n"+line(4)[:60])
	until(1)
	write(os.O_APPEND, line(4)[60:]+line(8)+"Iteration(9): nonsense\n"+strings.Repeat("x", 3*maxLine)+"\n"+line(10))
	until(6)
	if word := w.Word(); word.Lost != 4 || word.Restarts != 0 || word.Malformed != 2 || word.Workers != 1 || len(got) != 4 || got[1].Number != 4 || got[1].PrefillTokens != 30 || got[1].ReadNS < got[0].ReadNS {
		t.Errorf("%+v, %+v", word, got)
	}
	write(os.O_TRUNC, line(1))
	until(7)
	if word := w.Word(); word.Restarts != 1 || word.Lost != 4 || len(got) != 5 {
		t.Errorf("%+v after it was begun anew", word)
	}
	write(os.O_APPEND, strings.Replace(fpmLine, `"counter_id":9`, `"counter_id":11`, 1)+"\n"+fpmLine+"\n{}\n")
	until(10)
	if word := w.Word(); word.Workers != 2 || word.Restarts != 2 || len(word.Kinds) != 2 || word.Malformed != 3 {
		t.Errorf("%+v of two workers", word)
	}
}

// A watch that was asked for goes on by itself, and ends.
func TestWatchGoesOn(t *testing.T) {
	var looks atomic.Int64
	w, err := Open(Options{Clock: timebase.Monotonic(), Page: func(context.Context, string) ([]byte, string, error) {
		looks.Add(1)
		return []byte(vllmPage), "", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if looks.Load() > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := w.Close(); err != nil || looks.Load() == 0 || len(w.Word().Kinds) != 1 {
		t.Errorf("%d looks, %+v, %v", looks.Load(), w.Word(), err)
	}
}
