package saga

import (
	"errors"
	"fmt"
)

// The codec's versions. A release writes the newest one that the release before it reads, so that going back one release
// always works: a new version is read one release before it is written.
const (
	// CodecWritten is what Encode writes.
	CodecWritten = 1
	// CodecOldest and CodecNewest bound what Decode reads.
	CodecOldest = 1
	CodecNewest = 2
	// codecSpans is what Encode writes of a ledger with instances that were made of outputs, which no older codec holds: see ADR 7.
	codecSpans = 2
)

// ErrCorrupt is what Decode returns, wrapped, for data that no Encode wrote: cut, flipped, or not a ledger at all.
var ErrCorrupt = errors.New("the ledger is damaged")

// CodecUnknownError says that data is a ledger of a version that this release does not read. It must not be overwritten.
type CodecUnknownError struct{ Found int }

func (e *CodecUnknownError) Error() string {
	return fmt.Sprintf("the ledger is written in codec %d, and this release reads %d to %d: use the release that wrote it, or a newer one",
		e.Found, CodecOldest, CodecNewest)
}
