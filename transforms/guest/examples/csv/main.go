// Turns lines of CSV (RFC 4180) into JSON objects, one a line.
//
// Settings: {"columns": ["name", "age"]}, the names of the columns; without any, they are column1, column2 and so on. A line
// of another number of fields than there are names goes to the error output. A record may hold several lines, even none: then
// it is dropped.
package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	hydrant "hydrant.example/guest"
)

var columns []string

func init() {
	hydrant.Init(configure)
	hydrant.Transform(toJSON)
}

func configure(settings []byte) error {
	if len(settings) == 0 {
		return nil
	}
	var given struct{ Columns []string }
	decoder := json.NewDecoder(bytes.NewReader(settings))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&given); err != nil {
		return fmt.Errorf("the settings are not {\"columns\": [...]}: %w", err)
	}
	columns = given.Columns
	return nil
}

func toJSON(record hydrant.Record) hydrant.Answer {
	reader := csv.NewReader(bytes.NewReader(record.Data))
	reader.FieldsPerRecord = -1
	if columns != nil {
		reader.FieldsPerRecord = len(columns)
	}
	var out bytes.Buffer
	for {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return hydrant.Failed(err.Error())
		}
		if err := object(&out, fields); err != nil {
			return hydrant.Failed(err.Error())
		}
	}
	if out.Len() == 0 {
		return hydrant.Dropped()
	}
	return hydrant.Ok(out.Bytes())
}

// object writes the fields in the order of the columns, which a map would not keep.
func object(out *bytes.Buffer, fields []string) error {
	open := byte('{')
	for at, field := range fields {
		name := fmt.Sprintf("column%d", at+1)
		if columns != nil {
			name = columns[at]
		}
		member, err := json.Marshal(name)
		if err != nil {
			return err
		}
		value, err := json.Marshal(field)
		if err != nil {
			return err
		}
		out.WriteByte(open)
		out.Write(member)
		out.WriteByte(':')
		out.Write(value)
		open = ','
	}
	out.WriteString("}\n")
	return nil
}

func main() {}
