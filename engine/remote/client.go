package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Bounds on what is read of an answer, in bytes, and on a pause.
const (
	maxAnswer    = 64 << 20
	maxErrorBody = 64 << 10 // far more than is shown
	maxPause     = 30 * time.Second
)

// Causes of a cancelled try.
var (
	errStalled = errors.New("stalled")
	errTimeout = errors.New("took too long")
	// errUnreachable: the request was never answered, for want of a connection.
	errUnreachable = errors.New("cannot reach")
)

// statusError is an answer that is none.
type statusError struct {
	code  int
	text  string
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

// temporary tells whether the same request may be answered later.
func temporary(err error) bool {
	if s, ok := errors.AsType[*statusError](err); ok {
		switch s.code {
		case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout, 529: // overloaded, by some proxies
			return true
		}
		return false
	}
	return errors.Is(err, errUnreachable)
}

// open sends a request and returns the answer once its head is there and says
// 200. The answer's body keeps the limits on time; close it.
func (b *Backend) open(ctx context.Context, method, path string, body any) (*answer, error) {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("word a request: %w", err)
		}
		payload = bytes.NewReader(text)
	}
	a := &answer{stall: b.opt.Stall}
	ctx, a.cancel = context.WithCancelCause(ctx)
	a.ctx = ctx
	a.timeout = time.AfterFunc(b.opt.Timeout, func() { a.cancel(errTimeout) })
	a.watch = time.AfterFunc(b.opt.Stall, func() { a.cancel(errStalled) })
	target := b.base.JoinPath(path)
	if path == tokenizePath {
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
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(a, maxErrorBody)) // what there is of it
		e := &statusError{code: resp.StatusCode, text: b.clean(errorText(text)), after: retryAfter(resp.Header.Get("Retry-After"))}
		if to := resp.Header.Get("Location"); to != "" {
			e.text = "it redirects to " + b.clean(to) + "; give that address"
		}
		a.Close()
		return nil, e
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

// retryAfter reads the header: seconds, or a date.
func retryAfter(text string) time.Duration {
	if s, err := strconv.Atoi(text); err == nil && s > 0 {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
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
	stall          time.Duration
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

// finishWithin leaves the answer only so long to end.
func (a *answer) finishWithin(d time.Duration) { a.timeout.Reset(d) }

// Close ends the try.
func (a *answer) Close() {
	a.watch.Stop()
	a.timeout.Stop()
	a.cancel(context.Canceled)
	if a.resp != nil {
		_ = a.resp.Body.Close()
	}
}

// call asks for an answer of one JSON value.
func (b *Backend) call(ctx context.Context, method, path string, body, into any) error {
	a, err := b.open(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer a.Close()
	text, err := io.ReadAll(io.LimitReader(a, maxAnswer+1))
	switch {
	case err != nil:
		if a.cause() == nil {
			err = errors.New(b.clean(err.Error()))
		}
		return fmt.Errorf("the answer broke off: %w", err)
	case len(text) > maxAnswer:
		return fmt.Errorf("%w: more than %d bytes", errMalformed, maxAnswer)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%w: %s", errMalformed, b.clean(err.Error()))
	}
	return nil
}

// patiently calls try until it succeeds, fails for good, or has been tried
// enough; between tries it waits.
func (b *Backend) patiently(ctx context.Context, try func() error) error {
	pause := b.opt.Backoff
	for n := 0; ; n++ {
		err := try()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !temporary(err) {
			return err
		}
		if n >= b.opt.Retries {
			if n > 0 {
				err = fmt.Errorf("%w (tried %d times)", err, n+1)
			}
			return err
		}
		wait := pause
		if s, ok := errors.AsType[*statusError](err); ok && s.after > 0 {
			wait = s.after
		}
		b.warn("the server turned requests away for the moment (busy, or failing); they were sent again")
		if sleep := b.clk.Sleep(ctx, min(wait, maxPause)); sleep != nil {
			return sleep
		}
		pause *= 2
	}
}

// models lists what the server serves; none where it does not say.
func (b *Backend) models(ctx context.Context) ([]servedModel, error) {
	var list struct {
		Data []servedModel `json:"data"`
	}
	err := b.patiently(ctx, func() error { return b.call(ctx, http.MethodGet, "models", nil, &list) })
	if s, ok := errors.AsType[*statusError](err); ok && (s.code == http.StatusNotFound || s.code == http.StatusMethodNotAllowed || s.code == http.StatusNotImplemented) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the models of %s: %w", b.base.Host, err)
	}
	return list.Data, nil
}

const tokenizePath = "tokenize"

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
		Count  int               `json:"count"`
		Tokens []json.RawMessage `json:"tokens"`
	}
	ctx, cancel := context.WithTimeoutCause(ctx, b.brief, errTimeout)
	defer cancel()
	if err := b.call(ctx, http.MethodPost, tokenizePath, ask, &got); err != nil {
		return 0, fmt.Errorf("count tokens: %w", err)
	}
	n := max(got.Count, len(got.Tokens))
	if n == 0 && text != "" {
		return 0, fmt.Errorf("count tokens: %w: none", errMalformed)
	}
	return n, nil
}
