"""What people look at: reads run folders, and disturbs nothing."""
