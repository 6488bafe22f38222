"""What the report has of the review: links to the page where events are corrected, and the quality people found."""
