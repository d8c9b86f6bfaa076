module hydrant.example/csv

go 1.24

require hydrant.example/guest v0.0.0

replace hydrant.example/guest => ../../go
