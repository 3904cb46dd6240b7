# Filled by the binding: `native` makes upstream's headers reachable; GO_ENV
# holds the compiler flags for native code.
GO_ENV :=
.PHONY: native
native:
