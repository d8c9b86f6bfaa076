//go:build wasip1

package hydrant

import "unsafe"

// Log writes a line to the service's log. It takes no more than 16 KiB a call.
func Log(text string) {
	hostLog(unsafe.StringData(text), uint32(len(text)))
}

//go:wasmimport hydrant log
func hostLog(at *byte, bytes uint32)

// Where the host writes, and where it reads. The collector moves nothing, and these keep it from taking them away.
var (
	request []byte
	answers []byte
)

//go:wasmexport hydrant_abi_1
func abi1() {}

//go:wasmexport hydrant_alloc
func alloc(bytes uint32) uint32 {
	if uint64(len(request)) < uint64(bytes) || request == nil {
		request = make([]byte, max(bytes, 1))
	}
	return place(request)
}

//go:wasmexport hydrant_init
func hydrantInit(_, bytes uint32) uint32 {
	if err := initialize(request[:bytes]); err != nil {
		Log(err.Error())
		return 1
	}
	return 0
}

//go:wasmexport hydrant_transform
func hydrantTransform(_, bytes uint32) uint64 {
	answers = answer(request[:bytes], answers)
	return uint64(place(answers))<<32 | uint64(len(answers))
}

func place(bytes []byte) uint32 {
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(bytes))))
}
