package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"jouletop/engine"
)

// ErrNoList: the server does not say, or not clearly, what it serves.
var ErrNoList = errors.New("it lists no models")

// Served returns the names of the models that the server lists. It waits for a
// server that is still loading.
func (b *Backend) Served(ctx context.Context) ([]string, error) {
	ctx, cancel, err := b.within(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	list, err := b.models(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range list {
		names = append(names, b.clean(m.ID))
	}
	return names, nil
}

// models lists what the server serves; with ErrNoList, where it is there and
// does not say.
func (b *Backend) models(ctx context.Context) ([]servedModel, error) {
	var text []byte
	err := b.patiently(ctx, b.opt.LoadWait, func() (err error) {
		text, err = b.call(ctx, http.MethodGet, "models", nil, maxListBytes)
		return err
	})
	if errors.Is(err, errWebPage) {
		if at := b.findAPI(ctx); at != "" {
			return nil, fmt.Errorf("%s: %w; the API is at %s", b.base, errWebPage, at)
		}
		return nil, fmt.Errorf("%s: %w; the API is elsewhere: often at /v1 or /api/v1", b.base, errWebPage)
	}
	if s, ok := errors.AsType[*statusError](err); ok && !loading(s) {
		return nil, fmt.Errorf("%w: %w", ErrNoList, err)
	}
	if err != nil {
		return nil, fmt.Errorf("list the models of %s: %w", b.base.Host, err)
	}
	list, err := readModels(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w: %s", ErrNoList, errMalformed, b.clean(err.Error()))
	}
	return list, nil
}

// apiPaths are where the API of servers with a web page is found.
var apiPaths = []string{"/v1", "/api/v1", "/api", "/openai/v1", "/ollama/v1", "/engines/v1"}

// findAPI looks for the address of the API of a server that answered with a web
// page; "" if it is none of the usual.
func (b *Backend) findAPI(ctx context.Context) string {
	for _, p := range apiPaths {
		if p == b.base.Path {
			continue
		}
		root := *b.base
		root.Path = p
		probe := &Backend{opt: b.opt, base: &root, cleaner: b.cleaner, client: b.client, clk: b.clk, life: b.life}
		text, err := probe.call(ctx, http.MethodGet, "models", nil, maxListBytes)
		if err != nil {
			continue
		}
		if list, err := readModels(text); err == nil && len(list) > 0 {
			return root.String()
		}
	}
	return ""
}

// maxModels bounds a list of models.
const maxModels = 10_000

// readModels reads a list of models in the forms that are about: {"data":[…]},
// {"models":[…]}, or a bare array, of objects or of names.
func readModels(text []byte) ([]servedModel, error) {
	text = bytes.TrimSpace(text)
	if bytes.HasPrefix(text, []byte("{")) {
		var form struct{ Data, Models json.RawMessage }
		if err := json.Unmarshal(text, &form); err != nil {
			return nil, err
		}
		if text = form.Data; len(text) == 0 || string(text) == "null" {
			text = form.Models
		}
	}
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('[') {
		return nil, errors.New("no list")
	}
	var list []servedModel
	for d.More() && len(list) < maxModels {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		var m servedModel
		if json.Unmarshal(raw, &m) != nil {
			m = servedModel{}
			var named struct{ ID string }
			switch { // what else it says is of no use
			case json.Unmarshal(raw, &m.ID) == nil:
			case json.Unmarshal(raw, &named) == nil:
				m.ID = named.ID
			}
		}
		for _, name := range []string{m.Model, m.Name} { // Ollama's own list
			if m.ID == "" {
				m.ID = name
			}
		}
		if m.ID != "" {
			list = append(list, m)
		}
	}
	return list, nil
}

// wild tells whether the list holds a pattern: a gateway that serves more than
// it lists.
func wild(served []servedModel) bool {
	for _, m := range served {
		if strings.Contains(m.ID, "*") {
			return true
		}
	}
	return false
}

// choose settles which model is meant: the one named, or the only one served.
func (b *Backend) choose(ctx context.Context, name string) (servedModel, error) {
	served, err := b.models(ctx)
	switch {
	case errors.Is(err, ErrNoList) && name == "":
		return servedModel{}, fmt.Errorf("%w; name one", err)
	case err != nil && !errors.Is(err, ErrNoList):
		return servedModel{}, err
	case err != nil:
		b.warn(fmt.Sprintf("what %s serves is not known (%s): %s is asked for all the same", b.base.Host, b.clean(err.Error()), b.clean(name)))
		return servedModel{ID: name}, nil
	case name == "" && len(served) == 1 && !wild(served):
		return served[0], nil
	case name == "" && len(served) == 0:
		return servedModel{}, fmt.Errorf("%s lists no models; name one", b.base.Host)
	case name == "":
		return servedModel{}, fmt.Errorf("%s serves %s: name one", b.base.Host, b.names(served))
	}
	if m, ok := b.find(served, name); ok {
		if b.clean(m.ID) != name {
			m.ID = name // the server knows it by that too
		}
		return m, nil
	}
	if len(served) == 0 || wild(served) {
		return servedModel{ID: name}, nil
	}
	return servedModel{}, fmt.Errorf("%q: %s serves %s", name, b.base.Host, b.names(served))
}

// find looks a model up, by its name or by what is shown of it. Ollama lists
// "m:latest" for "m"; gateways take "m:suffix" for a kind of service of "m".
func (c cleaner) find(served []servedModel, name string) (servedModel, bool) {
	for _, want := range []string{name, name + ":latest"} {
		for _, m := range served {
			if m.ID == want || c.clean(m.ID) == want {
				return m, true
			}
		}
	}
	base, _, suffixed := strings.Cut(name, ":")
	for _, m := range served {
		if own, _, _ := strings.Cut(m.ID, ":"); suffixed && (m.ID == base || own == base) {
			return m, true
		}
	}
	return servedModel{}, false
}

func (c cleaner) names(served []servedModel) string {
	const most = 12
	var list []string
	for i, m := range served {
		if i == most {
			list = append(list, fmt.Sprintf("… (%d in all)", len(served)))
			break
		}
		list = append(list, c.clean(m.ID))
	}
	return strings.Join(list, ", ")
}

// Load implements engine.Backend: it asks the server for its models, where it
// lists them, and takes spec.Name; the only one served if that is empty. What a
// server does not list clearly, it is asked for all the same.
func (b *Backend) Load(ctx context.Context, spec engine.ModelSpec, progress func(float64)) (engine.ModelInfo, error) {
	ctx, cancel, err := b.within(ctx)
	if err != nil {
		return engine.ModelInfo{}, err
	}
	defer cancel()
	if progress != nil {
		progress(0)
	}
	b.setModel(served{})
	m, err := b.choose(ctx, spec.Name)
	if err != nil {
		return engine.ModelInfo{}, fmt.Errorf("%w: %w", engine.ErrModel, err)
	}
	info := engine.ModelInfo{
		Name: b.clean(m.ID), Parameters: -1, SizeBytes: -1, ContextMax: -1, Devices: []string{"remote:" + b.base.Host},
	}
	m.describe(&info)
	now := served{name: m.ID, llamaServer: m.OwnedBy == "llamacpp"}
	special, err := b.count(ctx, m.ID, "a")
	if ctx.Err() != nil {
		return engine.ModelInfo{}, fmt.Errorf("ask %s: %w", b.base.Host, ctx.Err())
	}
	now.tokenizer, now.special = err == nil, max(special-1, 0)
	b.setModel(now)
	return info, nil
}

// served is the model in use, and what its server can do.
type served struct {
	name        string // as the server has it; "" before Load
	tokenizer   bool   // it counts tokens
	special     int    // tokens that it adds to a text
	llamaServer bool
	answers     string // the name by which it answered first; "" before
}

func (b *Backend) setModel(m served) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.model = m
}

func (b *Backend) loaded() served {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.model
}
