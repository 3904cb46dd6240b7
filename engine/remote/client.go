package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds on what is read of an answer, in bytes, and on a pause.
const (
	maxErrorBody = 64 << 10 // far more than is shown
	maxListBytes = 8 << 20  // the models of the largest gateways take 2 MB
	maxPause     = 30 * time.Second
)

// Causes of a cancelled try.
var (
	errStalled = errors.New("stalled")
	errTimeout = errors.New("took too long")
	// errUnreachable: the request was never answered, for want of a connection.
	errUnreachable = errors.New("cannot reach")
	// errFromCache: nothing was computed for the answer.
	errFromCache = errors.New("the answer came from a cache, and was not computed")
	// errWebPage: the answer is for people.
	errWebPage = errors.New("this is a web page, not an API")
)

// statusError is an answer that is none.
type statusError struct {
	code  int
	text  string        // of its message
	body  string        // as much as was read
	after time.Duration // Retry-After; 0: not given
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("the server answered %d %s", e.code, http.StatusText(e.code))
	if e.text != "" {
		s += ": " + e.text
	}
	if e.code == http.StatusUnauthorized || e.code == http.StatusForbidden {
		s += " (the key is taken from JOULETOP_API_KEY)"
	}
	return s
}

// barred tells whether the server will not serve this operator at all.
func barred(err error) bool {
	s, ok := errors.AsType[*statusError](err)
	return ok && (s.code == http.StatusUnauthorized || s.code == http.StatusForbidden)
}

// loading tells whether the server, or what stands before it, is not ready yet.
func loading(err error) bool {
	s, ok := errors.AsType[*statusError](err)
	return ok && (s.code == http.StatusServiceUnavailable || s.code == http.StatusBadGateway || s.code == http.StatusGatewayTimeout ||
		s.code == 524 || s.code == 529) // timed out, overloaded, by some proxies
}

// temporary tells whether the same request may be answered later.
func temporary(err error) bool {
	if s, ok := errors.AsType[*statusError](err); ok {
		return s.code == http.StatusTooManyRequests || s.code == http.StatusInternalServerError ||
			s.code == http.StatusRequestTimeout || s.code == http.StatusTooEarly || loading(err)
	}
	return errors.Is(err, errUnreachable)
}

// open sends a request and returns the answer once its head is there and says
// 200. The answer's body keeps the limits on time; close it.
func (b *Backend) open(ctx context.Context, method, path string, body any) (*answer, error) {
	return b.openWithin(ctx, b.opt.Timeout, b.opt.Stall, method, path, body)
}

// openWithin is open with other limits on time.
func (b *Backend) openWithin(ctx context.Context, timeout, stall time.Duration, method, path string, body any) (*answer, error) {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("word a request: %w", err)
		}
		payload = bytes.NewReader(text)
	}
	a := &answer{stall: stall, limit: timeout}
	ctx, a.cancel = context.WithCancelCause(ctx)
	a.ctx = ctx
	a.timeout = time.AfterFunc(timeout, func() { a.cancel(errTimeout) })
	a.watch = time.AfterFunc(stall, func() { a.cancel(errStalled) })
	target := b.base.JoinPath(path)
	if slices.Contains(rootPaths, path) {
		root := *b.base
		root.Path = strings.TrimSuffix(root.Path, "/v1")
		target = root.JoinPath(path)
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), payload)
	if err != nil {
		a.Close()
		return nil, fmt.Errorf("word a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "jouletop")
	req.Header.Set("Accept-Encoding", "identity") // a compressor would hold tokens back
	// Not sent. It has net/http send the request again at once where the server
	// closed an idle connection just then, which is no refusal.
	req.Header["Idempotency-Key"] = nil
	if b.key != "" {
		req.Header.Set("Authorization", "Bearer "+b.key)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		err = b.transportError(a, err)
		a.Close()
		return nil, err
	}
	a.resp = resp
	if err := unzip(resp); err != nil {
		a.Close()
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(a, maxErrorBody)) // what there is of it
		e := &statusError{code: resp.StatusCode, text: b.clean(errorText(text)), body: string(text), after: retryAfter(resp.Header)}
		if isWebPage(text) {
			e.text = "a web page"
		}
		if to := resp.Header.Get("Location"); to != "" {
			e.text = "it redirects to " + b.clean(to) + "; give that address"
		}
		a.Close()
		return nil, e
	}
	if from := cachedBy(resp.Header); from != "" && method == http.MethodPost {
		a.Close()
		return nil, fmt.Errorf("%w (%s)", errFromCache, b.clean(from))
	}
	return a, nil
}

// transportError words a failure before any answer, without the address's path
// and prompt.
func (b *Backend) transportError(a *answer, err error) error {
	if cause := a.cause(); cause != nil {
		return cause
	}
	if inner := errors.Unwrap(err); inner != nil { // *url.Error repeats the address
		err = inner
	}
	return fmt.Errorf("%w %s: %s", errUnreachable, b.base.Host, b.clean(err.Error()))
}

// retryAfter reads how long the server asks to wait: seconds, a date, or
// milliseconds in the header that some have for them; up to maxPause.
func retryAfter(h http.Header) time.Duration {
	for name, unit := range map[string]time.Duration{"Retry-After-Ms": time.Millisecond, "Retry-After": time.Second} {
		if n, err := strconv.ParseFloat(h.Get(name), 64); err == nil && n > 0 {
			return time.Duration(min(n*float64(unit), float64(maxPause)))
		}
	}
	if t, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}

// answer is the body of an answer under the limits on time.
type answer struct {
	resp           *http.Response
	ctx            context.Context
	cancel         context.CancelCauseFunc
	watch, timeout *time.Timer
	stall, limit   time.Duration
}

// Read reads on; any byte puts off the stall.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.resp.Body.Read(p)
	if n > 0 {
		a.watch.Reset(a.stall)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := a.cause(); cause != nil {
			err = cause
		}
	}
	return n, err
}

// cause says why the try was cancelled, nil if it was not.
func (a *answer) cause() error {
	if a.ctx.Err() == nil {
		return nil
	}
	switch cause := context.Cause(a.ctx); {
	case errors.Is(cause, errStalled):
		return fmt.Errorf("%w: no bytes for %v", errStalled, a.stall)
	default:
		return cause
	}
}

// finishWithin leaves the answer only so long to end; goOn takes that back.
func (a *answer) finishWithin(d time.Duration) { a.timeout.Reset(d) }
func (a *answer) goOn()                        { a.timeout.Reset(a.limit) }

// Close ends the try.
func (a *answer) Close() {
	a.watch.Stop()
	a.timeout.Stop()
	a.cancel(context.Canceled)
	if a.resp != nil {
		_ = a.resp.Body.Close()
	}
}

// call asks for an answer of one JSON value, of at most so many bytes.
func (b *Backend) call(ctx context.Context, method, path string, body any, most int64) ([]byte, error) {
	a, err := b.open(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	text, err := io.ReadAll(io.LimitReader(a, most+1))
	switch {
	case err != nil:
		if a.cause() == nil {
			err = errors.New(b.clean(err.Error()))
		}
		return nil, fmt.Errorf("the answer broke off: %w", err)
	case int64(len(text)) > most:
		return nil, fmt.Errorf("%w: more than %d bytes", errMalformed, most)
	case isWebPage(text):
		return nil, fmt.Errorf("%s: %w", b.base.Host, errWebPage)
	}
	return text, nil
}

// isWebPage tells whether an answer is HTML.
func isWebPage(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, "\ufeff \t\r\n"), []byte("<"))
}

// patiently calls try until it succeeds, fails for good, or has been tried
// enough; between tries it waits. With patience, a server that is not ready yet
// is tried for so long.
func (b *Backend) patiently(ctx context.Context, patience time.Duration, try func() error) error {
	pause := b.opt.Backoff
	deadline := b.clk.Now() + int64(patience)
	for n := 0; ; n++ {
		err := try()
		if err == nil || ctx.Err() != nil || !temporary(err) {
			return err
		}
		waits := loading(err) && patience > 0
		if waits && b.clk.Now() >= deadline || !waits && n >= b.opt.Retries {
			if n > 0 {
				err = fmt.Errorf("%w (tried %d times)", err, n+1)
			}
			return err
		}
		wait := pause
		if s, ok := errors.AsType[*statusError](err); ok && s.after > 0 {
			wait = s.after
		}
		if waits {
			wait = min(wait, maxLoadPause)
			b.warnLoading(patience)
		} else {
			b.warn(sentAgain(err))
		}
		if sleep := b.clk.Sleep(ctx, min(wait, maxPause)); sleep != nil {
			return sleep
		}
		pause *= 2
	}
}

// sentAgain says why requests were.
func sentAgain(err error) string {
	if errors.Is(err, errUnreachable) {
		return "the server could not be reached for a moment; requests were sent again"
	}
	return "the server turned requests away for the moment (busy, or failing); they were sent again"
}

// warnLoading says that a server is waited for.
func (b *Backend) warnLoading(patience time.Duration) {
	b.warn(fmt.Sprintf("%s is not ready yet, as if it were loading its model: waiting for it, for up to %v; that is in no figure", b.base.Host, patience))
}

// maxLoadPause is how long a server that loads its model is left alone.
const maxLoadPause = 2 * time.Second

const tokenizePath = "tokenize"

// rootPaths are beside the API, not in it.
var rootPaths = []string{tokenizePath, "metrics", "slots"}

// Page gets a page of the server that stands beside its API ("metrics", "slots"), and
// its Date header.
func (b *Backend) Page(ctx context.Context, path string) (body []byte, date string, err error) {
	ctx, cancel, err := b.within(ctx)
	if err != nil {
		return nil, "", err
	}
	defer cancel()
	a, err := b.openWithin(ctx, b.brief, b.brief, http.MethodGet, path, nil)
	if err != nil {
		return nil, "", err
	}
	defer a.Close()
	const most = 4 << 20
	body, err = io.ReadAll(io.LimitReader(a, most+1))
	return body, a.resp.Header.Get("Date"), err
}

// count asks how many tokens text is: vLLM reads prompt and answers count,
// llama-server reads content and answers tokens. It waits briefly: a server may
// take the request and say nothing.
func (b *Backend) count(ctx context.Context, model, text string) (int, error) {
	ask := struct {
		Model      string `json:"model"`
		Prompt     string `json:"prompt"`
		Content    string `json:"content"`
		AddSpecial bool   `json:"add_special"`
	}{model, text, text, true}
	var got struct {
		Count  int        `json:"count"`
		Tokens arrayCount `json:"tokens"`
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.brief, errTimeout)
	defer cancel()
	const perByte = 64 // a token with its text, of one byte
	answer, err := b.call(ctx, http.MethodPost, tokenizePath, ask, maxErrorBody+perByte*int64(len(text)))
	if err == nil {
		err = b.decode(answer, &got)
	}
	if err != nil {
		return 0, fmt.Errorf("count tokens: %w", err)
	}
	n := max(got.Count, int(got.Tokens))
	if n <= 0 && text != "" || n > len(text)+maxSpecial {
		return 0, fmt.Errorf("count tokens: %w: %d of %d bytes", errMalformed, n, len(text))
	}
	return n, nil
}

// maxSpecial is how many tokens a tokenizer may add to a text.
const maxSpecial = 16

// decode reads an answer.
func (b *Backend) decode(answer []byte, into any) error {
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%w: %s", errMalformed, b.clean(err.Error()))
	}
	return nil
}

// arrayCount is how many values a JSON array holds.
type arrayCount int

// UnmarshalJSON keeps none of them.
func (n *arrayCount) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return err // null, or something else: none
	}
	for d.More() {
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			return err
		}
		*n++
	}
	return nil
}
