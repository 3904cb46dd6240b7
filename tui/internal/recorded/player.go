package recorded

import (
	"reflect"

	"jouletop/engine/event"
)

// Player plays a session from its beginning, and then again and again: to the
// dashboard each time is one more run of the same session.
type Player struct {
	session *Session
	next    int   // of the session's events
	by      int64 // added to their times, ns
	length  int64 // of the session, ns
}

// NewPlayer returns a player that stands at the session's beginning, at time 0.
func NewPlayer(s *Session) *Player {
	return &Player{session: s, by: -s.start(), length: s.end() - s.start()}
}

// pause between a session's end and its next beginning, ns.
const pause = 100_000_000

// Until returns the events not yet played up to the time t, ns.
func (p *Player) Until(t int64) []event.Event {
	var out []event.Event
	for {
		e := p.session.Events[p.next]
		if e.When()+p.by > t {
			return out
		}
		out = append(out, later(e, p.by))
		if p.next++; p.next == len(p.session.Events) {
			p.next = 0
			p.by += p.length + pause
		}
	}
}

// later is an event as it would be by ns later.
func later(e event.Event, by int64) event.Event {
	v := reflect.New(reflect.TypeOf(e)).Elem()
	v.Set(reflect.ValueOf(e))
	for _, name := range []string{"TimeNS", "StartNS", "EndNS"} {
		if f := v.FieldByName(name); f.IsValid() {
			f.SetInt(f.Int() + by)
		}
	}
	return v.Interface().(event.Event)
}

// Length is how long the session is, ns.
func (p *Player) Length() int64 { return p.length }
