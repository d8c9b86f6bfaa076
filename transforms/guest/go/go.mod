module hydrant.example/guest

go 1.24
