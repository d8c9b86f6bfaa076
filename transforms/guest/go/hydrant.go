// Package hydrant is what a transform module for hydrant is made with in Go.
//
// A module registers its transform in an init function, and has an empty main:
//
//	func init() {
//		hydrant.Transform(func(record hydrant.Record) hydrant.Answer {
//			return hydrant.Ok(bytes.ToUpper(record.Data))
//		})
//	}
//
//	func main() {}
//
// and is built with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o module.wasm. hydrant's docs/modules.md describes
// the bytes that pass here.
package hydrant

import "encoding/binary"

// A Record is what a transform looks at.
type Record struct {
	// ArrivalMillis is when it arrived, milliseconds since the Unix epoch.
	ArrivalMillis uint64
	// Data are its bytes. They are overwritten after the transform has returned.
	Data []byte
}

// An Answer is what a transform says of a record.
type Answer struct {
	verdict byte
	data    []byte
	keys    []string
}

// Ok lets the record go on as data.
func Ok(data []byte) Answer { return Answer{verdict: 0, data: data} }

// Unchanged lets the record go on as it is.
func Unchanged() Answer { return Answer{verdict: 1} }

// Dropped keeps the record from being delivered.
func Dropped() Answer { return Answer{verdict: 2} }

// Failed sends the record to the error output, with this text.
func Failed(message string) Answer { return Answer{verdict: 3, data: []byte(message)} }

// Key gives the record a partition key, !{partitionKeyFromLambda:name} in a prefix. A record that is dropped or fails has none.
func (a Answer) Key(name, value string) Answer {
	if a.verdict <= 1 {
		a.keys = append(a.keys, name, value)
	}
	return a
}

// Transform registers the transform. It must be a function of its record: hydrant may ask about a record more than once, in
// any company.
func Transform(of func(Record) Answer) { transform = of }

// Init registers a function that is given the module's settings once, before any record. If it fails, the module cannot be
// used.
func Init(with func(settings []byte) error) { initialize = with }

var (
	transform  = func(Record) Answer { return Failed("the module registers no transform") }
	initialize = func([]byte) error { return nil }
)

// answer answers a request, in the room that into has.
func answer(request, into []byte) []byte {
	le := binary.LittleEndian
	if version := le.Uint32(request); version != 1 {
		panic("the request is of another version")
	}
	records := le.Uint32(request[4:])
	into = le.AppendUint32(into[:0], 1)
	into = le.AppendUint32(into, records)
	rest := request[8:]
	for range records {
		id, length := le.Uint32(rest), le.Uint32(rest[4:])
		record := Record{ArrivalMillis: le.Uint64(rest[8:]), Data: rest[16 : 16+length : 16+length]}
		rest = rest[16+length:]
		into = appendAnswer(into, id, transform(record))
	}
	return into
}

func appendAnswer(into []byte, id uint32, a Answer) []byte {
	le := binary.LittleEndian
	if len(a.keys)/2 > 65535 {
		panic("a record has at most 65,535 partition keys")
	}
	into = le.AppendUint32(into, id)
	into = append(into, a.verdict, 0)
	into = le.AppendUint16(into, uint16(len(a.keys)/2))
	into = le.AppendUint32(into, uint32(len(a.data)))
	into = append(into, a.data...)
	for at := 0; at < len(a.keys); at += 2 {
		into = le.AppendUint32(into, uint32(len(a.keys[at])))
		into = le.AppendUint32(into, uint32(len(a.keys[at+1])))
		into = append(into, a.keys[at]...)
		into = append(into, a.keys[at+1]...)
	}
	return into
}
