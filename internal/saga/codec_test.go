package saga

import (
	"bytes"
	"compress/flate"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// seal wraps any body as Encode does, check and all: what an attacker or a bug of a later release could write.
func seal(body []byte) []byte {
	out := bytes.NewBuffer(make([]byte, headSize))
	w, _ := flate.NewWriter(out, level)
	_, _ = w.Write(body)
	_ = w.Close()
	data := out.Bytes()
	data[0], data[1] = magic, CodecWritten
	sum := checksum(data)
	copy(data[2:], sum[:])
	return data
}

// body unwraps it.
func body(t failer, data []byte) []byte {
	raw, err := unpack(data[headSize:])
	must(t, err)
	return raw
}

// TestRoundTrip: I9. What was stored is what is read.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLedger(t)
		data, err := Encode(l)
		must(t, err)
		again, err := Decode(data)
		must(t, err)
		if !again.Equal(l) || !l.Equal(again) {
			t.Fatalf("read %+v, stored %+v", again, l)
		}
		if again.total != l.total {
			t.Fatalf("counts read %v, stored %v", again.total, l.total)
		}
		if !bytes.Equal(body(t, data), body(t, seal(body(t, data)))) {
			t.Fatal("the test's seal is not Encode's")
		}
	})
}

// TestEqualSeesEverything changes one thing at a time.
func TestEqualSeesEverything(t *testing.T) {
	changes := map[string]func(*Ledger){
		"run": func(l *Ledger) { l.Run++ }, "started": func(l *Ledger) { l.Started++ }, "finished": func(l *Ledger) { l.Finished++ },
		"phase": func(l *Ledger) { l.Phase = RunFailed }, "hash": func(l *Ledger) { l.SpecHash[3]++ }, "generation": func(l *Ledger) { l.Generation++ },
		"name": func(l *Ledger) { l.Ops[0].Name = "x" }, "type": func(l *Ledger) { l.Ops[0].Type = "x" }, "child": func(l *Ledger) { l.Ops[0].Child = "x" },
		"span":    func(l *Ledger) { l.Ops[1].Span = "a,b" },
		"same":    func(l *Ledger) { l.Ops[1].Preds = []Pred{{Op: 0, Same: true}} },
		"preds":   func(l *Ledger) { l.Ops[1].Preds = []Pred{{Op: 0, Soft: true}} },
		"keys":    func(l *Ledger) { l.Ops[1].Keys = []string{"a", "c"} },
		"no keys": func(l *Ledger) { l.Ops[1].Keys = nil },
		"outputs": func(l *Ledger) { l.Ops[0].Outputs = map[string]string{"k": "w"} },
		"reason":  func(l *Ledger) { l.Ops[0].Reason = "x" }, "message": func(l *Ledger) { l.Ops[0].Message = "x" },
		"a phase": func(l *Ledger) { l.Phases[0] = Unknown }, "attempts": func(l *Ledger) { l.Attempts[0]++ }, "starts": func(l *Ledger) { l.Starts[2]++ },
		"tries": func(l *Ledger) { l.Tries[0]++ }, "spent": func(l *Ledger) { l.Spent[2]++ }, "outcome": func(l *Ledger) { l.Outcomes[2] = Failed },
		"stop": func(l *Ledger) { l.Stop = StopAborted }, "cause": func(l *Ledger) { l.Cause.Message += "!" }, "compact": func(l *Ledger) { l.Compact = true },
		"refusal": func(l *Ledger) { l.Refusal = "no" }, "held": func(l *Ledger) { l.Held++ }, "held since": func(l *Ledger) { l.HeldSince++ }, "opened": func(l *Ledger) { l.Opened++ },
		"an operation opened": func(l *Ledger) { l.Ops[0].Opened++ }, "handled": func(l *Ledger) { l.Handled = map[string]string{"retry": "all@2"} },
		"begun": func(l *Ledger) { l.Begun[2]++ }, "ends": func(l *Ledger) { l.Ends[2]++ }, "retries": func(l *Ledger) { l.Retries[2]++ },
		"id of the run": func(l *Ledger) { l.RunID += "x" }, "since": func(l *Ledger) { l.Since[0]++ }, "marks": func(l *Ledger) { l.Marks[0] = 0 },
		"form": func(l *Ledger) { l.Forms[0] = 0 }, "left": func(l *Ledger) { l.LetGo("old", "b") },
		"a reason": func(l *Ledger) { l.Reasons[0] = 0 }, "an operation": func(l *Ledger) { l.Ops = l.Ops[:1] },
	}
	for name, change := range changes {
		l := small(t)
		data, err := Encode(l)
		must(t, err)
		change(l)
		same, err := Decode(data)
		must(t, err)
		if l.Equal(same) || same.Equal(l) {
			t.Errorf("%s: a change is not seen", name)
		}
	}
}

// small holds one of everything.
func small(t failer) *Ledger {
	l := mustNew(t, Op{Name: "servers", Type: "ServerBatch", Child: "Server", Count: 1},
		Op{Name: "services", Type: "TaskServiceBatch", Preds: []Pred{{Op: 0}}, Keys: []string{"a", "b"}})
	l.RunID = "second"
	l.Left = []Left{{Operation: "old", Child: "Server", Keys: []string{"a", "b"}, Attempts: 3}}
	must(t, l.OrderAs(0, formOf(0), start+1))
	l.Replace(0)
	l.Begin(0, start+2)
	must(t, l.Settle(0, Failed, start+9, "QuotaExceeded", "no more of them"))
	must(t, l.SetOutputs(0, map[string]string{"k": "v", "l": ""}))
	must(t, l.Order(1, start+3))
	must(t, l.Postpone(1, start+63, "TimedOut", "too slow"))
	must(t, l.Order(2, start+4))
	l.Begin(2, start+5)
	l.Open(1, start+5)
	l.Blame(0, "QuotaExceeded", "no more of them")
	l.Handle("retry", "all@1")
	l.Hold(start + 8)
	l.Resume(start + 9)
	return l
}

var renew = flag.Bool("renew", false, "write the ledgers of testdata anew; only ever for a new codec")

// TestOldLedgers reads ledgers that an earlier build stored, one of every codec. If it fails, ledgers in clusters can no longer be read.
func TestOldLedgers(t *testing.T) {
	spanned := small(t)
	spanned.Ops[1].Span = "a,b"
	for file, want := range map[string]*Ledger{"testdata/codec1.ledger": small(t), "testdata/codec2.ledger": spanned} {
		if *renew {
			data, err := Encode(want)
			must(t, err)
			must(t, os.WriteFile(file, data, 0o644))
		}
		data, err := os.ReadFile(file)
		must(t, err)
		l, err := Decode(data)
		must(t, err)
		if !l.Equal(want) {
			t.Errorf("%s: read %+v", file, l)
		}
	}
}

func TestUnknownCodecIsRefused(t *testing.T) {
	data, err := Encode(small(t))
	must(t, err)
	for _, version := range []byte{0, CodecNewest + 1, 255} {
		data[1] = version
		_, err := Decode(data)
		unknown, ok := errors.AsType[*CodecUnknownError](err)
		if !ok || unknown.Found != int(version) || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fmt.Sprintf("codec %d", version)) {
			t.Errorf("codec %d gives %v", version, err)
		}
	}
}

// TestDamageIsRefused tries every cut and every flipped bit.
func TestDamageIsRefused(t *testing.T) {
	data, err := Encode(small(t))
	must(t, err)
	refused := func(what string, at int, damaged []byte) {
		_, err := Decode(damaged)
		_, unknown := errors.AsType[*CodecUnknownError](err)
		if !errors.Is(err, ErrCorrupt) && !unknown {
			t.Errorf("%s at %d gives %v", what, at, err)
		}
	}
	for n := range data {
		refused("a cut", n, data[:n])
		for bit := range 8 {
			flipped := bytes.Clone(data)
			flipped[n] ^= 1 << bit
			refused("a flipped bit", n, flipped)
		}
	}
	refused("a byte more", len(data), append(bytes.Clone(data), 0))
	refused("nothing", 0, nil)
}

// TestBodiesThatNobodyWrites have a check that matches and hold what cannot be.
func TestBodiesThatNobodyWrites(t *testing.T) {
	build := func(change func(*Ledger), more ...byte) []byte {
		l := small(t)
		change(l)
		w := &writer{}
		w.head(l)
		for k := range l.Ops {
			w.op(&l.Ops[k], k)
		}
		w.left(l.Left)
		w.columns(l)
		return append(w.body, more...)
	}
	if _, err := Decode(seal(build(func(*Ledger) {}))); err != nil {
		t.Fatalf("the test builds no ledger: %v", err)
	}
	trailing := append(seal(build(func(*Ledger) {})), 1, 2, 3)
	sum := checksum(trailing)
	copy(trailing[2:], sum[:])
	renamed := bytes.Replace(build(func(*Ledger) {}), []byte("\aservers"), []byte("\aservant"), 1)
	cases := map[string][]byte{
		"bytes after the body":       seal(build(func(*Ledger) {}, 0)),
		"bytes after the stream":     trailing,
		"other names":                seal(renamed),
		"a phase that is none":       seal(build(func(l *Ledger) { l.Phases[2] = NumPhases })),
		"a run phase that is none":   seal(build(func(l *Ledger) { l.Phase = NumRunPhases })),
		"a reason that is none":      seal(build(func(l *Ledger) { l.Reasons[2] = 9 })),
		"success without an attempt": seal(build(func(l *Ledger) { l.Phases[2], l.Attempts[2] = Succeeded, 0 })),
		"a predecessor out of range": seal(build(func(l *Ledger) { l.Ops[1].Preds[0].Op = 2 })),
		"a negative predecessor":     seal(build(func(l *Ledger) { l.Ops[1].Preds[0].Op = -1 })),
		"a key for nobody":           seal(build(func(l *Ledger) { l.Ops[1].Keys = l.Ops[1].Keys[:1] })),
		"too many operations":        seal(build(func(l *Ledger) { l.Ops = append(l.Ops, make([]Op, MaxOps)...) })),
		"a long message":             seal(build(func(l *Ledger) { l.Ops[0].Message = strings.Repeat("x", MaxMessage+1) })),
		"a stop that is none":        seal(build(func(l *Ledger) { l.Stop = NumStops })),
		"a form that is none":        seal(build(func(l *Ledger) { l.Forms[0] = 2 })),
		"a mark that is none":        seal(build(func(l *Ledger) { l.Marks[0] = 16 })),
		"a form before its order":    seal(build(func(l *Ledger) { l.Since[0] = 9 })),
		"nothing that is left":       seal(build(func(l *Ledger) { l.Left[0].Keys = nil })),
		"an outcome that is none":    seal(build(func(l *Ledger) { l.Outcomes[0] = NumPhases })),
		"a cause that is nobody":     seal(build(func(l *Ledger) { l.Cause.Instance = 3 })),
		"time that was not spent":    seal(build(func(l *Ledger) { l.Spent[0] = -1 })),
		"a clock before the start":   seal(build(func(l *Ledger) { l.Opened = -2 })),
		"a value that is too long":   seal(build(func(l *Ledger) { l.Handled["retry"] = strings.Repeat("x", MaxValue+1) })),
		"a time before the start":    seal(build(func(l *Ledger) { l.Starts[0] = -5 })),
	}
	for name, data := range cases {
		if l, err := Decode(data); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: gives %v, %v", name, l, err)
		}
	}
}

// TestRunsOfNothing: a value that repeats 0 times says nothing, so no Encode wrote it.
func TestRunsOfNothing(t *testing.T) {
	for name, c := range map[string]struct {
		body []byte
		fits bool
	}{"once": {[]byte{3, 1}, true}, "never, then once": {[]byte{2, 0, 3, 1}, false}, "too often": {[]byte{3, 2}, false}} {
		r := &reader{body: c.body}
		if unrepeat(r, make([]uint8, 1), 5); (r.err == nil) != c.fits {
			t.Errorf("%s: %v", name, r.err)
		}
	}
}

// TestBomb: a small file that unpacks to 256 MiB is refused for that, and takes no more memory than the largest ledger would.
func TestBomb(t *testing.T) {
	bomb := seal(make([]byte, 256<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Decode(bomb)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "unpacks to more than") {
		t.Errorf("a bomb gives %v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 8*maxBody {
		t.Errorf("a bomb takes %d MiB", took>>20)
	}
}

// FuzzDecode feeds bodies whose check matches. Whatever is read must pass Check and be stored and read again as it is.
func FuzzDecode(f *testing.F) {
	data, err := Encode(small(f))
	must(f, err)
	f.Add(body(f, data))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) { readable(t, raw) })
}

// TestDecodeMutations is the same in every test run, by mutating real bodies.
func TestDecodeMutations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data, err := Encode(drawLedger(t))
		must(t, err)
		raw := bytes.Clone(body(t, data))
		for range rapid.IntRange(1, 4).Draw(t, "mutations") {
			at := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
			raw[at] = rapid.SampledFrom([]byte{0, 1, 2, 127, 128, 255, raw[at] + 1, raw[at] - 1}).Draw(t, "byte")
		}
		readable(t, raw)
	})
}

func readable(t failer, raw []byte) {
	l, err := Decode(seal(raw))
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatal("refused with", err)
		}
		return
	}
	must(t, l.Check())
	data, err := Encode(l)
	must(t, err)
	again, err := Decode(data)
	must(t, err)
	if !again.Equal(l) {
		t.Fatal("what was read is not what is read again")
	}
}

// TestEncodeRefusesNonsense: rather no record, and so no deed, than one that cannot be read.
func TestEncodeRefusesNonsense(t *testing.T) {
	for name, change := range map[string]func(*Ledger){
		"a column is short":     func(l *Ledger) { l.Ends = l.Ends[:1] },
		"a range is wrong":      func(l *Ledger) { l.Ops[1].First = 0 },
		"an attempt is missing": func(l *Ledger) { l.Attempts[0], l.Phases[0] = 0, Succeeded },
		"a time is negative":    func(l *Ledger) { l.Begun[0] = -2 },
		"a message is long":     func(l *Ledger) { l.Ops[0].Message = strings.Repeat("x", MaxMessage+1) },
	} {
		l := small(t)
		change(l)
		if _, err := Encode(l); err == nil {
			t.Errorf("%s: it is stored", name)
		}
	}
}

func TestNamesHashIsUnambiguous(t *testing.T) {
	if NamesHash("ab", "c") == NamesHash("a", "bc") || NamesHash("a") == NamesHash("a", "") {
		t.Error("different names have the same hash")
	}
}

// formOf is a form that hardly compresses.
func formOf(k int) (f Form) {
	sum := NamesHash(fmt.Sprint(k))
	copy(f.Written[:], sum[:])
	copy(f.Resolved[:], sum[8:])
	return f
}

// simulate plays a run of n instances as the operator would record it: at most limit at a time, started in order, each taking
// about 45 seconds, one in fifty failing once, queued for some seconds where the account is the narrower gate.
func simulate(t failer, n, limit int, queued, finished bool) *Ledger {
	ops := make([]Op, 20)
	for k := range ops {
		ops[k] = Op{Name: fmt.Sprintf("operation-%02d", k), Type: "ServerBatch", Count: int32(n / len(ops)), Child: "Server"}
		if k > 0 {
			ops[k].Preds = []Pred{{Op: int32(k - 1)}}
		}
	}
	l := mustNew(t, ops...)
	dice := rand.New(rand.NewPCG(1, 2))
	free := make([]int64, limit) // when each slot is free
	for i := range free {
		free[i] = start
	}
	stop := l.N()
	if !finished {
		stop = l.N() / 2
	}
	for i := range stop {
		slot := 0
		for s := range free {
			if free[s] < free[slot] {
				slot = s
			}
		}
		at := free[slot]
		must(t, l.OrderAs(i, formOf(l.OpOf(i)), at))
		if dice.IntN(50) == 0 {
			must(t, l.Postpone(i, at+60, "Transient", "the other side hung up"))
			must(t, l.Order(i, at+65))
			at += 65
		}
		if queued {
			at += int64(dice.IntN(8))
		}
		l.Begin(i, at)
		free[slot] = at + 25 + int64(dice.ExpFloat64()*20)
		if finished || free[slot] < start+int64(i) {
			must(t, l.Settle(i, Succeeded, free[slot], "", ""))
		}
	}
	return l
}

// TestSize: 100,000 instances take at most 90 KB, in the middle of a run and at its end.
func TestSize(t *testing.T) {
	for name, c := range map[string]struct {
		queued, finished bool
		most             int
	}{
		"half way": {false, false, 90 << 10}, "finished": {false, true, 90 << 10}, "finished, each queued for up to 8 s": {true, true, 90 << 10},
	} {
		l := simulate(t, 100_000, 500, c.queued, c.finished)
		data, err := Encode(l)
		must(t, err)
		if len(data) > c.most {
			t.Errorf("%s: %d bytes", name, len(data))
		}
		t.Logf("%s: %d bytes", name, len(data))
		again, err := Decode(data)
		must(t, err)
		if !again.Equal(l) {
			t.Errorf("%s: it is not read as it was stored", name)
		}
	}
}
