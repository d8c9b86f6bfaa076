-- The rows of docker/streams/shop.yaml. What the folders say, country and section, is no column.
CREATE TABLE clicks (
  time   timestamp,
  button string,
  page   string,
  cents  bigint,
  device struct<kind:string, system:string>
)
