terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {}
variable "prefix" {
  default = "first/!{timestamp:yyyy/MM/dd}/"
}
variable "compression" {
  default = "GZIP"
}
variable "megabytes" {
  default = 5
}
variable "team" {
  default = "a"
}

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "peers-access-key"
  secret_key                  = "peers-secret-key"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
  endpoints {
    firehose = var.endpoint
  }
}

resource "aws_kinesis_firehose_delivery_stream" "smallest" {
  name        = "smallest"
  destination = "extended_s3"

  extended_s3_configuration {
    role_arn       = "arn:aws:iam::000000000000:role/firehose"
    bucket_arn     = "arn:aws:s3:::smallest"
    buffering_size = var.megabytes
  }
}

resource "aws_kinesis_firehose_delivery_stream" "every_member" {
  name        = "every-member"
  destination = "extended_s3"

  extended_s3_configuration {
    role_arn            = "arn:aws:iam::000000000000:role/path/firehose"
    bucket_arn          = "arn:aws:s3:::every-member"
    prefix              = var.prefix
    error_output_prefix = "errors/!{firehose:error-output-type}/"
    buffering_size      = var.megabytes
    buffering_interval  = 60
    compression_format  = var.compression
    custom_time_zone    = "Europe/Berlin"
    file_extension      = ".packed"

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = "/firehose/every-member"
      log_stream_name = "S3Delivery"
    }
  }

  tags = {
    team                 = var.team
    "hydrant:Durability" = "disk"
  }
}

resource "aws_kinesis_firehose_delivery_stream" "processed" {
  name        = "processed"
  destination = "extended_s3"

  extended_s3_configuration {
    role_arn            = "arn:aws:iam::000000000000:role/firehose"
    bucket_arn          = "arn:aws:s3:::processed"
    prefix              = "country=!{partitionKeyFromQuery:country}/"
    error_output_prefix = "errors/!{firehose:error-output-type}/"
    buffering_size      = 64 + var.megabytes

    dynamic_partitioning_configuration {
      enabled = true
    }

    processing_configuration {
      enabled = true

      processors {
        type = "RecordDeAggregation"
        parameters {
          parameter_name  = "SubRecordType"
          parameter_value = "JSON"
        }
      }
      processors {
        type = "Lambda"
        parameters {
          parameter_name  = "LambdaArn"
          parameter_value = "arn:aws:lambda:us-east-1:000000000000:function:enrich"
        }
      }
      processors {
        type = "MetadataExtraction"
        parameters {
          parameter_name  = "MetadataExtractionQuery"
          parameter_value = "{country:.country}"
        }
        parameters {
          parameter_name  = "JsonParsingEngine"
          parameter_value = "JQ-1.6"
        }
      }
      processors {
        type = "AppendDelimiterToRecord"
      }
    }
  }
}
