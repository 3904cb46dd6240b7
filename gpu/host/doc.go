// Package host says what the machine around the GPU draws: processors and memory by
// RAPL's counters (the kernel's powercap), power meters of hwmon, and the whole server
// by its management controller (IPMI, DCMI). It is read only: nothing is ever set.
//
// [Find] lists the [Source]s that can be read, and of those that cannot why and what to
// do about it; [Watch] reads them while a run goes on; a [Meter] makes joules of the
// readings of one source.
//
// # What is believed of a source
//
//   - A RAPL counter counts up to its max_energy_range_uj and begins again at 0. A
//     value below the one before is taken for such a wrap only where the readings lie so
//     close together, and the joules between them are so few, that nothing else can have
//     happened; else the counter has stepped, and nothing is concluded across it.
//   - Nothing is concluded across a reading that failed, or time in which a counter may
//     have gone round altogether; nor while a counter stands still, which those of
//     processors and memory never do.
//   - Domains lie within each other: cores within their package, all within psys.
//     [Total] adds packages and memory, never a part to its whole.
//   - Power (hwmon, DCMI) is taken to go straight from one reading to the next; by how
//     much they differ is in the error, and so is the step in which it is told.
//
// What is not known is not stated. The gain of these sensors is not known from within,
// and in no error here.
package host
