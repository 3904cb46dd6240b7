package export

import (
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The few of Perfetto's messages that a trace is made of, by the numbers of their
// fields. Each number is that of the .proto file of Perfetto's repository which is
// named beside; fields never change their number there.
const (
	// protos/perfetto/trace/trace.proto, Trace
	tracePacket = 1

	// protos/perfetto/trace/trace_packet.proto, TracePacket
	packetClockSnapshot = 6
	packetTimestamp     = 8 // ns
	packetSequence      = 10
	packetTrackEvent    = 11
	packetInterned      = 12
	packetFlags         = 13
	packetTrack         = 60
	packetFirst         = 87

	flagStateCleared = 1 // of packetFlags: SEQ_INCREMENTAL_STATE_CLEARED
	flagNeedsState   = 2 // SEQ_NEEDS_INCREMENTAL_STATE

	// protos/perfetto/trace/clock_snapshot.proto, ClockSnapshot and its Clock
	snapshotClocks = 1
	clockID        = 1
	clockTime      = 2

	clockRealtime = 1 // protos/perfetto/common/builtin_clock.proto
	clockBoottime = 6 // what a trace's times are by default

	// protos/perfetto/trace/track_event/track_descriptor.proto, TrackDescriptor
	trackUUID        = 1
	trackName        = 2
	trackParent      = 5
	trackCounter     = 8
	trackOrdering    = 11
	trackRank        = 12
	orderingExplicit = 3

	// protos/perfetto/trace/track_event/counter_descriptor.proto, CounterDescriptor
	counterUnitName = 6

	// protos/perfetto/trace/track_event/track_event.proto, TrackEvent
	eventCategory    = 3 // interned
	eventAnnotations = 4
	eventType        = 9
	eventName        = 10 // interned
	eventTrack       = 11
	eventDouble      = 44 // of a counter

	typeBegin   = 1
	typeEnd     = 2
	typeInstant = 3
	typeCounter = 4

	// protos/perfetto/trace/track_event/debug_annotation.proto, DebugAnnotation
	annotationName   = 1 // interned
	annotationBool   = 2
	annotationInt    = 4
	annotationDouble = 5
	annotationText   = 6

	// protos/perfetto/trace/interned_data/interned_data.proto, InternedData, and the
	// entries of all its tables
	internedCategories  = 1
	internedNames       = 2
	internedAnnotations = 3
	entryID             = 1
	entryText           = 2
)

// message is a message being written.
type message []byte

func (m message) uint(field protowire.Number, v uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, field, protowire.VarintType), v)
}

func (m message) double(field protowire.Number, v float64) message {
	return protowire.AppendFixed64(protowire.AppendTag(m, field, protowire.Fixed64Type), math.Float64bits(v))
}

func (m message) text(field protowire.Number, s string) message {
	return protowire.AppendString(protowire.AppendTag(m, field, protowire.BytesType), s)
}

func (m message) within(field protowire.Number, inner message) message {
	return protowire.AppendBytes(protowire.AppendTag(m, field, protowire.BytesType), inner)
}

// names are one of a trace's tables of names, which are written once and then
// referred to.
type names struct {
	field protowire.Number
	ids   map[string]uint64
}

// tracer writes the packets of a trace, all in one sequence.
type tracer struct {
	out   io.Writer
	err   error // the first
	first bool
	track uint64

	categories, names, annotations names
	fresh                          message // names that the next packet must bring
	scratch                        message
}

func newTracer(out io.Writer) *tracer {
	table := func(field protowire.Number) names { return names{field, map[string]uint64{}} }
	return &tracer{out: out, first: true, categories: table(internedCategories), names: table(internedNames), annotations: table(internedAnnotations)}
}

// id is the name's number in its table.
func (t *tracer) id(of names, name string) uint64 {
	id, ok := of.ids[name]
	if !ok {
		id = uint64(len(of.ids)) + 1
		of.ids[name] = id
		t.fresh = t.fresh.within(of.field, message{}.uint(entryID, id).text(entryText, name))
	}
	return id
}

// packet writes a packet that holds inner in field.
func (t *tracer) packet(field protowire.Number, inner message) { t.packetAt(-1, field, inner) }

// packetAt is packet at a time in ns.
func (t *tracer) packetAt(ns int64, field protowire.Number, inner message) {
	m := message{}
	if ns >= 0 {
		m = m.uint(packetTimestamp, uint64(ns))
	}
	const sequence = 1
	m = m.uint(packetSequence, sequence)
	flags := uint64(flagNeedsState)
	if t.first {
		flags |= flagStateCleared
		m = m.uint(packetFirst, 1)
		t.first = false
	}
	m = m.uint(packetFlags, flags)
	if len(t.fresh) > 0 {
		m = m.within(packetInterned, t.fresh)
		t.fresh = t.fresh[:0]
	}
	m = m.within(field, inner)
	if t.err == nil {
		t.scratch = t.scratch[:0].within(tracePacket, m)
		_, t.err = t.out.Write(t.scratch)
	}
}

// newTrack makes a track below another (0: none); unit is that of a counter, "" for a
// track of slices.
func (t *tracer) newTrack(parent uint64, name, unit string) uint64 {
	t.track++
	m := message{}.uint(trackUUID, t.track).text(trackName, name)
	if parent != 0 {
		m = m.uint(trackParent, parent)
	}
	if unit != "" {
		m = m.within(trackCounter, message{}.text(counterUnitName, unit))
	}
	m = m.uint(trackOrdering, orderingExplicit).uint(trackRank, t.track)
	t.packet(packetTrack, m)
	return t.track
}

// slice writes something that lasted; slices of a track are written in order.
func (t *tracer) slice(track uint64, from, to int64, category, name string, args ...arg) {
	t.mark(track, from, typeBegin, category, name, args)
	t.packetAt(max(to, from, 0), packetTrackEvent, message{}.uint(eventType, typeEnd).uint(eventTrack, track))
}

// instant writes something that happened.
func (t *tracer) instant(track uint64, at int64, category, name string, args ...arg) {
	t.mark(track, at, typeInstant, category, name, args)
}

func (t *tracer) mark(track uint64, at int64, kind uint64, category, name string, args []arg) {
	m := message{}.uint(eventType, kind).uint(eventTrack, track).uint(eventCategory, t.id(t.categories, category)).uint(eventName, t.id(t.names, name))
	for _, a := range args {
		if a.value != nil {
			m = m.within(eventAnnotations, a.value(message{}.uint(annotationName, t.id(t.annotations, a.name))))
		}
	}
	t.packetAt(max(at, 0), packetTrackEvent, m)
}

// counter writes a value of a counter; nothing where it is unknown.
func (t *tracer) counter(track uint64, at int64, v float64) {
	if known(v) {
		t.packetAt(max(at, 0), packetTrackEvent, message{}.uint(eventType, typeCounter).uint(eventTrack, track).double(eventDouble, v))
	}
}

// arg is what is known of a slice; no value where it is unknown.
type arg struct {
	name  string
	value func(message) message
}

func number(name string, v float64) arg {
	if !known(v) {
		return arg{}
	}
	return arg{name, func(m message) message { return m.double(annotationDouble, v) }}
}

func count(name string, v int) arg {
	if v < 0 {
		return arg{}
	}
	return arg{name, func(m message) message { return m.uint(annotationInt, uint64(v)) }}
}

func word(name, v string) arg {
	if v == "" {
		return arg{}
	}
	return arg{name, func(m message) message { return m.text(annotationText, v) }}
}

func yes(name string, v bool) arg {
	if !v {
		return arg{}
	}
	return arg{name, func(m message) message { return m.uint(annotationBool, 1) }}
}
