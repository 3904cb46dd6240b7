package export

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// perfettoMessages are Perfetto's messages as far as they are used, from its .proto
// files: message, then number, name and type of its fields; * is repeated.
const perfettoMessages = `
Trace            1 packet *TracePacket
TracePacket      6 clock_snapshot ClockSnapshot, 8 timestamp uint64, 10 trusted_packet_sequence_id uint32, 11 track_event TrackEvent, 12 interned_data InternedData, 13 sequence_flags uint32, 60 track_descriptor TrackDescriptor, 87 first_packet_on_sequence bool
ClockSnapshot    1 clocks *Clock
Clock            1 clock_id uint32, 2 timestamp uint64
TrackDescriptor  1 uuid uint64, 2 name string, 5 parent_uuid uint64, 8 counter CounterDescriptor, 11 child_ordering int32, 12 sibling_order_rank int32
CounterDescriptor 6 unit_name string
TrackEvent       3 category_iids *uint64, 4 debug_annotations *DebugAnnotation, 9 type int32, 10 name_iid uint64, 11 track_uuid uint64, 44 double_counter_value double
DebugAnnotation  1 name_iid uint64, 2 bool_value bool, 4 int_value int64, 5 double_value double, 6 string_value string
InternedData     1 event_categories *Entry, 2 event_names *Entry, 3 debug_annotation_names *Entry
Entry            1 iid uint64, 2 name string
`

// perfettoTrace is the type of a trace, for the protobuf library.
func perfettoTrace(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	scalar := map[string]descriptorpb.FieldDescriptorProto_Type{
		"uint64": descriptorpb.FieldDescriptorProto_TYPE_UINT64, "uint32": descriptorpb.FieldDescriptorProto_TYPE_UINT32, "int32": descriptorpb.FieldDescriptorProto_TYPE_INT32,
		"int64": descriptorpb.FieldDescriptorProto_TYPE_INT64, "bool": descriptorpb.FieldDescriptorProto_TYPE_BOOL, "double": descriptorpb.FieldDescriptorProto_TYPE_DOUBLE, "string": descriptorpb.FieldDescriptorProto_TYPE_STRING,
	}
	file := &descriptorpb.FileDescriptorProto{Name: proto.String("perfetto.proto"), Package: proto.String("perfetto"), Syntax: proto.String("proto2")}
	for line := range strings.Lines(strings.TrimSpace(perfettoMessages)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		m := &descriptorpb.DescriptorProto{Name: proto.String(name)}
		for field := range strings.SplitSeq(rest, ",") {
			words := strings.Fields(field)
			number, err := strconv.ParseInt(words[0], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			f := &descriptorpb.FieldDescriptorProto{Name: proto.String(words[1]), Number: proto.Int32(int32(number)), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
			kind, many := strings.CutPrefix(words[2], "*")
			if many {
				f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
			}
			if s, ok := scalar[kind]; ok {
				f.Type = s.Enum()
			} else {
				f.Type, f.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), proto.String(".perfetto."+kind)
			}
			m.Field = append(m.Field, f)
		}
		file.MessageType = append(file.MessageType, m)
	}
	fd, err := protodesc.NewFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fd.Messages().ByName("Trace")
}

type (
	readTrack struct{ name, unit string }
	readSlice struct {
		track          uint64
		from, to       int64
		category, name string
		args           map[string]any
	}
	readCounter struct {
		track uint64
		value float64
	}
	readBack struct {
		tracks   map[uint64]readTrack
		slices   []readSlice // in order of their tracks
		counters []readCounter
	}
)

// readTrace reads a trace with the protobuf library, and fails where a packet is not
// well formed.
func readTrace(t *testing.T, file string) readBack {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	trace := dynamicpb.NewMessage(perfettoTrace(t))
	if err := proto.Unmarshal(raw, trace); err != nil {
		t.Fatal(err)
	}
	get := func(m protoreflect.Message, name string) protoreflect.Value {
		return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
	}
	has := func(m protoreflect.Message, name string) bool {
		return m.Has(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
	}
	out := readBack{tracks: map[uint64]readTrack{}}
	names := map[string]map[uint64]string{"event_categories": {}, "event_names": {}, "debug_annotation_names": {}}
	open := map[uint64]int{} // index of the slice that is open on a track, and one
	packets := get(trace, "packet").List()
	for i := range packets.Len() {
		p := packets.Get(i).Message()
		noUnknown(t, p)
		if flags := get(p, "sequence_flags").Uint(); get(p, "trusted_packet_sequence_id").Uint() != 1 || (flags&1 == 1) != (i == 0) || flags&2 == 0 || has(p, "first_packet_on_sequence") != (i == 0) {
			t.Fatalf("packet %d of the sequence has flags %d", i, flags)
		}
		for table, known := range names {
			entries := get(get(p, "interned_data").Message(), table).List()
			for j := range entries.Len() {
				e := entries.Get(j).Message()
				id := get(e, "iid").Uint()
				if _, twice := known[id]; twice || id == 0 {
					t.Errorf("%s has %d twice", table, id)
				}
				known[id] = get(e, "name").String()
			}
		}
		if has(p, "track_descriptor") {
			d := get(p, "track_descriptor").Message()
			id, parent := get(d, "uuid").Uint(), get(d, "parent_uuid").Uint()
			if _, known := out.tracks[parent]; parent != 0 && !known || id == 0 {
				t.Errorf("track %d below %d, which there is not", id, parent)
			}
			out.tracks[id] = readTrack{get(d, "name").String(), get(get(d, "counter").Message(), "unit_name").String()}
		}
		if !has(p, "track_event") {
			continue
		}
		e, at := get(p, "track_event").Message(), int64(get(p, "timestamp").Uint())
		track := get(e, "track_uuid").Uint()
		if _, known := out.tracks[track]; !known {
			t.Errorf("an event on track %d, which there is not", track)
		}
		switch kind := get(e, "type").Int(); kind {
		case typeCounter:
			if out.tracks[track].unit == "" {
				t.Errorf("a value on %s, which is no counter", out.tracks[track].name)
			}
			out.counters = append(out.counters, readCounter{track, get(e, "double_counter_value").Float()})
		case typeEnd:
			if open[track] == 0 {
				t.Fatalf("an end on track %d, where nothing has begun", track)
			}
			out.slices[open[track]-1].to = at
			delete(open, track)
		case typeBegin, typeInstant:
			if open[track] != 0 {
				t.Errorf("track %d: a slice within a slice", track)
			}
			x := readSlice{track: track, from: at, to: at, name: names["event_names"][get(e, "name_iid").Uint()], args: map[string]any{}}
			if c := get(e, "category_iids").List(); c.Len() == 1 {
				x.category = names["event_categories"][c.Get(0).Uint()]
			}
			list := get(e, "debug_annotations").List()
			for j := range list.Len() {
				a := list.Get(j).Message()
				name := names["debug_annotation_names"][get(a, "name_iid").Uint()]
				for _, value := range []string{"bool_value", "int_value", "double_value", "string_value"} {
					if has(a, value) {
						x.args[name] = get(a, value).Interface()
					}
				}
			}
			if x.name == "" || x.category == "" || x.args[""] != nil {
				t.Errorf("an event without a name: %+v", x)
			}
			out.slices = append(out.slices, x)
			if kind == typeBegin {
				open[track] = len(out.slices)
			}
		default:
			t.Errorf("an event of type %d", kind)
		}
	}
	if len(open) > 0 {
		t.Errorf("%d slices have no end", len(open))
	}
	return out
}

func noUnknown(t *testing.T, m protoreflect.Message) {
	t.Helper()
	if u := m.GetUnknown(); len(u) > 0 {
		t.Errorf("%s has fields that there are not: %x", m.Descriptor().Name(), u)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				noUnknown(t, v.List().Get(i).Message())
			}
		default:
			noUnknown(t, v.Message())
		}
		return true
	})
}
