// Package preferences reads what the operator prefers and remembers what was chosen last.
//
// A [File] is the operator's own config.toml: it is read, checked and never written. A
// [Memory] is the program's own file beside the sessions: the theme and the window chosen
// last, what was typed into forms, the prompts that were run.
//
// A flag on the command line comes before the environment, that before the file, that
// before what is remembered, and that before the program's default.
package preferences
