package plan

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
)

// Bounds of a plan on record.
const (
	maxPlanData  = 256 << 10 // bytes, compressed
	maxPlanText  = 64 << 20  // bytes, as JSON
	planVersion  = 1
	keptPlanKeys = 16 // keys by name of one part, where all of them would not fit
)

// stored is a plan as it is written.
type stored struct {
	Version int      `json:"version"`
	Plan    *Preview `json:"plan"`
}

// EncodePreview writes a plan for keeping. What would be too large for an object loses the names of most keys, and if need be the
// fields that change: their counts and the hash stay, so that it decides as much as before.
func EncodePreview(p *Preview) ([]byte, error) {
	for _, shorten := range []func(*PreviewPart){
		nil,
		func(part *PreviewPart) { part.Keys.Names = part.Keys.Names[:min(len(part.Keys.Names), keptPlanKeys)] },
		func(part *PreviewPart) { part.Fields, part.Unknown, part.Shape = nil, nil, "" },
	} {
		if shorten != nil {
			p = p.shortened(shorten)
		}
		data, err := deflate(p)
		if err != nil || len(data) <= maxPlanData {
			return data, err
		}
	}
	return nil, fmt.Errorf("the plan is larger than %d bytes", maxPlanData)
}

// shortened returns a copy of which each part was changed.
func (p *Preview) shortened(change func(*PreviewPart)) *Preview {
	out := *p
	out.Operations = make([]PreviewOperation, len(p.Operations))
	for k, op := range p.Operations {
		parts := make([]PreviewPart, len(op.Parts))
		for n, part := range op.Parts {
			change(&part)
			parts[n] = part
		}
		op.Parts = parts
		out.Operations[k] = op
	}
	return &out
}

func deflate(p *Preview) ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 6)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(w).Encode(stored{planVersion, p}); err != nil {
		return nil, fmt.Errorf("encoding the plan: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// DecodePreview reads a plan that EncodePreview wrote. One that a newer release wrote, or that is damaged, is an error: it is made anew
// then, because a plan is never more than what was read.
func DecodePreview(data []byte) (*Preview, error) {
	var s stored
	if err := json.NewDecoder(io.LimitReader(flate.NewReader(bytes.NewReader(data)), maxPlanText)).Decode(&s); err != nil {
		return nil, fmt.Errorf("reading the plan: %w", err)
	}
	if s.Version != planVersion || s.Plan == nil {
		return nil, fmt.Errorf("the plan is of version %d, and this release reads %d", s.Version, planVersion)
	}
	return s.Plan, nil
}
