package remote

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"jouletop/engine"
)

func TestModelLists(t *testing.T) {
	many := `{"data":[` + strings.TrimSuffix(strings.Repeat(`{"id":"x"},`, 300), ",") + `]}`
	for _, c := range []struct{ models, name, asked, err string }{
		{`[{"id":"m"}]`, "", "m", ""},
		{`["m"]`, "m", "m", ""},
		{`{"models":[{"name":"m:latest","model":"m:latest"}]}`, "m", "m", ""},
		{`{"data":[{"id":"*"}]}`, "m", "m", ""},
		{`{"data":[{"id":"openai/*"}]}`, "m", "m", ""},
		{`{"data":[{"id":"*"}]}`, "", "", "name one"},
		{`{"data":null}`, "m", "m", ""},
		{`{"data":[]}`, "m", "m", ""},
		{`{"data":[]}`, "", "", "lists no models"},
		{`{"data":"none"}`, "m", "m", ""},
		{`{"data":{"m":{}}}`, "m", "m", ""},
		{`null`, "m", "m", ""},
		{`soon`, "m", "m", ""},
		{`{"data":[{"id":"m","max_model_len":"4096","owned_by":7}]}`, "m", "m", ""},
		{`{"data":[{"id":"org/m"}]}`, "org/m:free", "org/m:free", ""},
		{`{"data":[{"id":"m:8b"}]}`, "m:70b", "m:70b", ""},
		{many, "m", "", "(300 in all)"},
	} {
		s := newServer(t, func(s *server) { s.models = c.models })
		b, err := New(Options{URL: s.URL, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Load(t.Context(), engine.ModelSpec{Name: c.name}, nil)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || b.loaded().name != c.asked {
			t.Errorf("%.60s, %q: asks for %q, %v", c.models, c.name, b.loaded().name, err)
		}
	}
	s := newServer(t, func(s *server) {
		s.models = "<!doctype html><title>chat</title>"
		s.answers = map[string]string{"/api/v1/models": `{"data":[{"id":"m"}]}`}
	})
	b, err := New(Options{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Load(t.Context(), engine.ModelSpec{Name: "m"}, nil); !errors.Is(err, engine.ErrModel) || !strings.HasSuffix(err.Error(), "this is a web page, not an API; the API is at "+s.URL+"/api/v1") {
		t.Errorf("a web page: %v", err)
	}
	s = newServer(t, func(s *server) { s.models = `{"data":[{"id":"b"},{"id":"a"}]}` })
	b, err = New(Options{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if names, err := b.Served(t.Context()); err != nil || !slices.Equal(names, []string{"b", "a"}) {
		t.Errorf("serves %v, %v", names, err)
	}
}
