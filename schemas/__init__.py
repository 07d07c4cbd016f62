"""What everything agrees on: columns, tables, the job file, the errors."""
